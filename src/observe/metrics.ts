import type { FastifyInstance } from 'fastify'

/** What is counted. Without METRICS_PORT nothing is, at no cost, and Prometheus's client is not even loaded. */
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

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
}

/** `app.metrics`: counting where METRICS_PORT is set, else nothing. After `app.load` and `app.db`, before the routes. */
export async function registerMetrics(app: FastifyInstance): Promise<void> {
  const { metricsPort } = app.config
  app.decorate('metrics', metricsPort ? (await import('./prometheus.ts')).prometheusMetrics(app) : NOTHING)
}

const NOTHING: Metrics = {
  batch() {},
  expired() {},
  clerkCall: () => () => {},
  clerkBreaker() {},
}
