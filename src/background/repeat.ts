/**
 * Work in the background: every so many ms until it is stopped. Two runs never overlap, and the timer keeps no process
 * alive.
 * @param work aborted by its signal when it is stopped
 * @returns stops it, and resolves when the run under way has ended
 */
export function repeat(
  everyMs: number,
  work: (signal: AbortSignal) => Promise<unknown>,
  onFailure: (error: Error) => void,
): () => Promise<void> {
  const stopping = new AbortController()
  let running: Promise<unknown> | undefined
  const timer = setInterval(() => {
    running ??= work(stopping.signal)
      .catch(onFailure)
      .finally(() => {
        running = undefined
      })
  }, everyMs)
  timer.unref()
  return async () => {
    clearInterval(timer)
    stopping.abort()
    await running
  }
}
