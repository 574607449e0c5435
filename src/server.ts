import closeWithGrace from 'close-with-grace'
import type { Service } from './start.ts'

/**
 * The entry point of the process. Signal handlers are installed before the service is imported, so a stop during start-up is
 * graceful too: running requests finish, the database is closed, the exit code is 0. The process exits after 10 s in any
 * case. SIGTERM drains first, so that a load balancer can stop sending requests; SIGINT (Ctrl-C) does not.
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
