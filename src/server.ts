import closeWithGrace from 'close-with-grace'
import type { Service } from './start.ts'

/**
 * The process. Signals are minded before anything heavy is loaded, so that a stop while starting is a clean stop too:
 * running requests finish, the database is closed, the exit code is 0. Whoever hangs on for 10 s is cut off. A SIGTERM
 * comes from whoever runs us among others, and gives them time to notice; Ctrl-C is a person who waits.
 */
const stopping = new AbortController()
let started: Promise<Service | undefined> | undefined

closeWithGrace({ delay: 10_000, logger: false }, async ({ err, signal }) => {
  if (err) console.error(err)
  stopping.abort()
  const service = await started?.catch(() => undefined)
  await service?.close({ drain: signal === 'SIGTERM' })
})

const { start, explain } = await import('./start.ts')
started = start(stopping.signal)
started.catch((error: unknown) => {
  console.error(explain(error))
  process.exit(1)
})
