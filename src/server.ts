import closeWithGrace from 'close-with-grace'

/**
 * The process. Signals are minded before anything heavy is loaded, so that a stop while starting is a clean stop too:
 * running requests finish, the database is closed, the exit code is 0. Whoever hangs on for 10 s is cut off.
 */
const stopping = new AbortController()
let started: Promise<{ close(): Promise<void> } | undefined> | undefined

closeWithGrace({ delay: 10_000, logger: false }, async ({ err }) => {
  if (err) console.error(err)
  stopping.abort()
  const service = await started?.catch(() => undefined)
  await service?.close()
})

const { start, explain } = await import('./start.ts')
started = start(stopping.signal)
started.catch((error: unknown) => {
  console.error(explain(error))
  process.exit(1)
})
