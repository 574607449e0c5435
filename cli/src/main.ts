import { CommanderError } from 'commander'
import { EXIT, Failure } from './failure.ts'
import { buildProgram } from './program.ts'

/** The `focus` command: parses, runs, and turns whatever was thrown into a message and an exit code. */

// Whoever reads no further (`focus jobs list | head`) has read enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const given = process.argv.slice(2)
// pnpm hands on the -- of `pnpm dev -- login`.
if (given[0] === '--') given.shift()

try {
  await buildProgram().parseAsync(given.length ? given : ['--help'], { from: 'user' })
} catch (error) {
  process.exitCode = await report(error)
}

async function report(error: unknown): Promise<number> {
  // Commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage
  const { colours, plain, remark, toJson } = await import('./output.ts')
  if (!(error instanceof Failure)) {
    remark(plain(error instanceof Error ? (error.stack ?? error.message) : String(error)))
    return EXIT.failed
  }
  const { code, message, hint, details, exitCode } = error
  if (given.includes('--json')) remark(toJson({ error: code, message, ...(hint && { hint }), ...details }))
  else {
    const { red } = colours(process.stderr)
    remark(`${red('Error:')} ${plain(message)}`)
    if (hint) remark(plain(hint))
    if (typeof details.request_id === 'string' && Number(details.status) >= 500) {
      remark(`The server has logged it as ${plain(details.request_id)}.`)
    }
  }
  return exitCode
}
