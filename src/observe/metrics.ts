/** What the service counts. Without METRICS_PORT it counts nothing and does not load prom-client. */
export interface Metrics extends ClerkMetrics {
  /** A batch of `size` ledger operations was posted in one transaction */
  batch(size: number): void
  /** A job of this app cost more than the app's max_overage allows */
  overageCapped(app_slug: string): void
  /** Overdue holds were released */
  expired(holds: number): void
  /** A webhook message was posted to its endpoint */
  webhookAttempt(outcome: 'delivered' | 'failed'): void
  /** All metrics in the Prometheus text format; absent when metrics are off */
  read?(): Promise<{ type: string; text: string }>
}

export interface ClerkMetrics {
  /** Starts timing a call to Clerk. @returns call it with the outcome; `failed`: no answer or a 5xx, `refused`: a 4xx */
  clerkCall(): (outcome: 'answered' | 'refused' | 'failed') => void
  /** The circuit breaker around Clerk has opened or closed */
  clerkBreaker(open: boolean): void
}

/** Counts nothing. */
export const noMetrics: Metrics = {
  batch() {},
  overageCapped() {},
  expired() {},
  webhookAttempt() {},
  clerkCall: () => () => {},
  clerkBreaker() {},
}
