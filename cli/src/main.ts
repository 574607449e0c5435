import { CommanderError } from 'commander'
import { EXIT, Failure } from './failure.ts'
import { buildProgram } from './program.ts'

/** The `focus` command: parses the arguments, runs the command, and reports errors with a message and an exit code. */

// EPIPE: the reader has closed the pipe, as in `focus jobs list | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const args = process.argv.slice(2)
// pnpm passes on the `--` of `pnpm dev -- login`.
if (args[0] === '--') args.shift()

try {
  await buildProgram().parseAsync(args.length ? args : ['--help'], { from: 'user' })
} catch (error) {
  process.exitCode = await report(error)
}

async function report(error: unknown): Promise<number> {
  // Commander has printed it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage
  const { colours, line, remark, remarkJson } = await import('./output.ts')
  if (!(error instanceof Failure)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    for (const part of text.split('\n')) remark(line`${part}`)
    return EXIT.failed
  }
  const { code, message, hint, details, exitCode } = error
  if (args.includes('--json')) remarkJson({ error: code, message, ...(hint && { hint }), ...details })
  else {
    const { red } = colours(process.stderr)
    remark(line`${red(line`Error:`)} ${message}`)
    if (hint) remark(line`${hint}`)
    if (typeof details.request_id === 'string' && Number(details.status) >= 500) {
      remark(line`The server logged this as request ${details.request_id}.`)
    }
  }
  return exitCode
}
