import type { Focus } from '@thefocus/client'
import type { Queue } from './queue.ts'

/** The app's slug at the Focus API. */
export const APP = 'film'
/** What a film may cost: so much is held until it is rendered. */
const ESTIMATE = 10
/** How long an order may wait while no worker runs; until then its credits are held. A worker extends it. */
const HOLD_SECONDS = 3_600

/**
 * What the app's web server does with an order: it reserves the credits with the person's token, which lives for a minute, and then writes
 * the row. A repeated order (same id) is the same job and the same row. Should the process die in between, the hold ends by itself.
 * @throws {InsufficientCredits} 402 for the person, with `buyUrl`
 */
export async function takeOrder(focus: Focus, queue: Queue, order: { id: string; title: string; token: string }) {
  const { id, title, token } = order
  const { job_id, account_id } = await focus.createJob(
    { app: APP, action: 'render', cost_estimate: ESTIMATE, ttl_seconds: HOLD_SECONDS, metadata: { title } },
    { token, idempotencyKey: `order-${id}` },
  )
  queue.add({ id, title, job_id, account_id })
}
