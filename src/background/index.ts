import type { FastifyInstance } from 'fastify'
import { LOOK_EVERY_MS } from '../http/overload.ts'
import { gatherDueTotals } from '../operator/totals.ts'
import { topUpDue } from '../payments/auto-topup.ts'
import type { Payments } from '../payments/types.ts'
import { cleanUpWebhooks } from '../webhooks/retention.ts'
import { cleanUp, cleanUpBudgets } from './clean-up.ts'
import { webhookDelivery } from './deliver-webhooks.ts'
import { repeat } from './repeat.ts'
import { type JobKey, sweepHolds } from './sweep-holds.ts'
import { sweepPurchases } from './sweep-purchases.ts'

/** A periodic task. */
interface Task {
  everyMs: number
  /** Log message when a run fails; the next run happens on schedule */
  failure: string
  run(signal: AbortSignal): Promise<unknown> | unknown
  /** Ends work that `run` started without awaiting it */
  stop?(): Promise<void>
}

/** All periodic tasks. Every replica runs all of them. */
function tasks(app: FastifyInstance): Task[] {
  const { connections, db, ledger, load, log, metrics, origins, payments } = app
  const onFailure = (error: Error, job: JobKey) => log.warn({ err: error, ...job }, 'could not expire a hold')
  return [
    {
      everyMs: LOOK_EVERY_MS,
      failure: 'could not measure the queues',
      run: () => load.look(),
    },
    { everyMs: 1_000, failure: 'could not look at the connections', run: () => connections.giveUp() },
    { everyMs: 1_000, failure: 'could not deliver webhooks', ...webhookDelivery(app) },
    {
      // A change made through another replica takes effect within 15 s: 10 s until the next query, and 5 s that it may take.
      everyMs: 10_000,
      failure: "could not read the apps' origins; the last known ones stay allowed",
      run: () => origins.refresh(),
    },
    {
      everyMs: 60_000,
      failure: 'could not expire overdue holds',
      run: async (signal) => metrics.expired(await sweepHolds(db, ledger, { onFailure, signal })),
    },
    {
      everyMs: 60_000,
      failure: 'could not gather the totals of the overview',
      run: () => gatherDueTotals(db, 60_000),
    },
    ...(payments ? paymentTasks(payments) : []),
    {
      everyMs: 600_000,
      failure: 'could not delete old rows',
      run: async (signal) => {
        await cleanUp(db, signal)
        if (!signal.aborted) await cleanUpBudgets(db)
      },
    },
    {
      everyMs: 600_000,
      failure: 'could not clean up webhook messages',
      run: (signal) => cleanUpWebhooks(db, signal),
    },
  ]
}

/** The tasks of a service that sells credits. */
function paymentTasks(payments: Payments): Task[] {
  const warn = (message: string) => (error: Error, about: object) =>
    payments.log.warn({ err: error, ...about }, message)
  return [
    {
      everyMs: 60_000,
      failure: 'could not look for purchases that are open',
      run: (signal) => sweepPurchases(payments, { onFailure: warn('could not look at a purchase'), signal }),
    },
    {
      everyMs: 5_000,
      failure: 'could not look for accounts that are to be topped up',
      run: (signal) => topUpDue(payments, { onFailure: warn('could not top an account up'), signal }),
    },
  ]
}

/**
 * Starts all tasks.
 * @returns stops them, and resolves when no run is active; call it before the database is closed
 */
export function startBackground(app: FastifyInstance): () => Promise<void> {
  const stops = tasks(app).map(({ everyMs, failure, run, stop }) => {
    const end = repeat(everyMs, run, (error) => app.log.warn({ err: error }, failure))
    return () => Promise.all([end(), stop?.()])
  })
  return async () => {
    await Promise.all(stops.map((stop) => stop()))
  }
}
