import { ConfigError, processConfig } from './config.ts'
import { connect } from './db/connect.ts'
import { FolderInUse } from './db/pglite.ts'
import { DatabaseUnavailable } from './db/postgres.ts'
import { type Verification, verify } from './ledger/verify.ts'

/** `npm run verify`: checks every invariant of the ledger. Exit code 1, and a table of what is broken, where one does not hold. */
async function main(): Promise<void> {
  const rethrow = (error: Error) => {
    throw error
  }
  const db = await connect(processConfig().database, { lostConnection: () => {}, lostFolder: rethrow })
  try {
    report(await verify(db))
  } finally {
    await db.destroy()
  }
}

function report({ ok, checks }: Verification): void {
  if (ok) {
    console.log(`The ledger is right: all ${checks.length} checks hold.`)
    return
  }
  process.exitCode = 1
  const broken = checks.filter(({ violations }) => violations > 0)
  console.error(`The ledger is broken: ${broken.length} of ${checks.length} checks do not hold. See docs/ledger.md.`)
  console.table(broken.map(({ name, violations }) => ({ check: name, violations })))
  for (const { name, examples } of broken) {
    console.log(`\n${name}, for example:`)
    console.table(examples)
  }
}

await main().catch((error) => {
  const expected = [ConfigError, DatabaseUnavailable, FolderInUse].some((kind) => error instanceof kind)
  console.error(expected ? error.message : error)
  process.exitCode = 1
})
