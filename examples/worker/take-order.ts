import type { Focus } from '@thefocus/client'
import type { Queue } from './queue.ts'

/** The app's slug at the Focus API. */
export const APP = 'film'
/** The estimated cost of a film, which is held until it is rendered. */
const ESTIMATE = 10
/** How long an order may wait for a worker; its credits are held until then. A worker extends the hold. */
const HOLD_SECONDS = 3_600

/**
 * What the app's web server does with an order: it reserves the credits with the person's token, which is valid for a minute, and then writes
 * the row. A repeated order (with the same id) uses the same job and the same row. If the process dies in between, the hold expires.
 * @throws {InsufficientCredits} with `buyUrl` for the person
 */
export async function takeOrder(focus: Focus, queue: Queue, order: { id: string; title: string; token: string }) {
  const { id, title, token } = order
  const { job_id, account_id } = await focus.createJob(
    { app: APP, action: 'render', cost_estimate: ESTIMATE, ttl_seconds: HOLD_SECONDS, metadata: { title } },
    { token, idempotencyKey: `order-${id}` },
  )
  queue.add({ id, title, job_id, account_id })
}
