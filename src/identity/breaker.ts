/** After so many failures on end nobody asks … */
const FAILURES = 5
/** … for so long, in ms; then one caller does, and the rest go on when that one got an answer. */
const PAUSE_MS = 5_000

/** A circuit breaker: whoever is down is not asked by everybody, and nobody waits for what will not come. */
export interface Breaker {
  /** In how many ms it is worth asking; 0: now, and the caller does ask */
  wait(): number
  answered(): void
  failed(): void
}

/** @param onChange told when asking stops, and when it goes on */
export function createBreaker(onChange: (open: boolean) => void): Breaker {
  let failures = 0
  let askAgainAt = 0
  const isOpen = () => failures >= FAILURES

  return {
    wait() {
      const now = performance.now()
      if (!isOpen()) return 0
      if (now < askAgainAt) return askAgainAt - now
      // This caller asks; others wait another pause for what comes of it.
      askAgainAt = now + PAUSE_MS
      return 0
    },
    answered() {
      const wasOpen = isOpen()
      failures = 0
      if (wasOpen) onChange(false)
    },
    failed() {
      failures++
      askAgainAt = performance.now() + PAUSE_MS
      if (failures === FAILURES) onChange(true)
    },
  }
}
