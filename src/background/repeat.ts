/**
 * Runs a task periodically. Runs never overlap. The timer does not keep the process alive.
 * @param everyMs from the start of one run to the start of the next; a run that takes longer delays the next
 * @param work gets a signal that aborts when the task is stopped
 * @param onFailure called with what `work` throws; the next run happens on schedule
 * @returns stops the task, and resolves when the current run has ended
 */
export function repeat(
  everyMs: number,
  work: (signal: AbortSignal) => Promise<unknown> | unknown,
  onFailure: (error: Error) => void,
): () => Promise<void> {
  const stopping = new AbortController()
  let running: Promise<void> | undefined
  const run = async () => {
    try {
      await work(stopping.signal)
    } catch (error) {
      onFailure(error as Error)
    } finally {
      running = undefined
    }
  }
  const timer = setInterval(() => {
    running ??= run()
  }, everyMs)
  timer.unref()
  return async () => {
    clearInterval(timer)
    stopping.abort()
    await running
  }
}
