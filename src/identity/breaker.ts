/** Opens after this many consecutive failures. */
const FAILURES = 5
/** Half-open after this time, in ms: one trial call per pause, until one gets an answer. */
const PAUSE_MS = 5_000

/** A circuit breaker. Callers ask `wait` before each call and report its result. */
export interface Breaker {
  /** ms until the next call may be made; 0: the caller must make it now and report the result */
  wait(): number
  answered(): void
  failed(): void
}

/** @param onChange called when the breaker opens and when it closes */
export function createBreaker(onChange: (open: boolean) => void): Breaker {
  let failures = 0
  let nextTrialAt = 0
  const isOpen = () => failures >= FAILURES

  return {
    wait() {
      const now = performance.now()
      if (!isOpen()) return 0
      if (now < nextTrialAt) return nextTrialAt - now
      // This caller makes the trial call; the others wait for its result.
      nextTrialAt = now + PAUSE_MS
      return 0
    },
    answered() {
      const wasOpen = isOpen()
      failures = 0
      if (wasOpen) onChange(false)
    },
    failed() {
      failures++
      nextTrialAt = performance.now() + PAUSE_MS
      if (failures === FAILURES) onChange(true)
    },
  }
}
