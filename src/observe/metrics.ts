/** What is counted. Without METRICS_PORT nothing is, and Prometheus's client is not loaded. */
export interface Metrics extends ClerkMetrics {
  /** A batch of so many ledger operations was posted as one statement */
  batch(size: number): void
  /** So many overdue holds were given back */
  expired(holds: number): void
  /** All metrics in Prometheus's text format; undefined where nothing is counted */
  read?(): Promise<{ type: string; text: string }>
}

export interface ClerkMetrics {
  /** A call to Clerk begins. @returns to be told how it ends: `failed` had no answer, `refused` a 4xx */
  clerkCall(): (outcome: 'answered' | 'refused' | 'failed') => void
  clerkBreaker(open: boolean): void
}

/** Counts nothing. */
export const noMetrics: Metrics = {
  batch() {},
  expired() {},
  clerkCall: () => () => {},
  clerkBreaker() {},
}
