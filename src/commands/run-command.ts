import { ConfigError } from '../config.ts'
import { FolderInUse } from '../db/pglite.ts'
import { CannotShard } from '../db/shard.ts'
import { DatabaseUnavailable } from '../db/unavailable.ts'

/**
 * Runs a maintenance command. A failure that the operator can mend prints its sentence, any other its stack.
 * @param main resolves to the exit code
 * @param failed exit code when `main` throws
 */
export async function runCommand(main: () => Promise<number>, failed = 1): Promise<void> {
  try {
    process.exitCode = await main()
  } catch (error) {
    const expected = [ConfigError, DatabaseUnavailable, FolderInUse, CannotShard].some((kind) => error instanceof kind)
    console.error(expected ? (error as Error).message : error)
    process.exitCode = failed
  }
}

/** Trouble with the database ends a command: it has nothing else to serve. */
export const rethrow = (error: Error): never => {
  throw error
}
