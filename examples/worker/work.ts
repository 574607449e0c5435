import { setTimeout as sleep } from 'node:timers/promises'
import { type Focus, FocusError, JobAlreadyEnded } from '@thefocus/client'
import type { Order, Queue } from './queue.ts'

/** The duration of a step. The ten steps of a film take longer than a person's token is valid. */
const STEP_MS = Number(process.env.STEP_MS ?? 7_000)

/** Renders a film. @returns its cost: one credit for each letter of its title */
async function render({ title }: Order, signal: AbortSignal): Promise<number> {
  for (let step = 0; step < 10; step++) await sleep(STEP_MS, undefined, { signal })
  return title.length
}

/**
 * Works on one order. The process may be killed at any point and the function called again: the work is then repeated, but charged once,
 * because all attempts settle the same job.
 */
async function workOn(focus: Focus, queue: Queue, order: Order): Promise<void> {
  const { id, job_id: jobId, account_id: accountId } = order
  try {
    const cost = await focus.withHold({ jobId, accountId }, async (job) => {
      const cost = await render(order, job.signal)
      job.cost(cost)
      return cost
    })
    queue.end(id, 'paid', cost)
  } catch (error) {
    // Either it was charged before the row was written, or its hold expired while no worker was running.
    if (error instanceof JobAlreadyEnded)
      return queue.end(id, error.jobStatus === 'completed' ? 'paid' : 'unpaid', error.actualCost)
    // The job may not be settled: the next run continues with it.
    if (error instanceof FocusError) throw error
    // Rendering failed, and the credits were released.
    queue.end(id, 'unpaid', 0)
  }
}

/** Works on all held orders, several at a time. If the service does not answer, they stay in the queue for the next run. */
export async function work(focus: Focus, queue: Queue, say: (line: string) => void, atOnce = 3): Promise<void> {
  const held = queue.orders().filter(({ state }) => state === 'held')
  const next = held.values()
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const order of next) {
        say(`${order.title}: rendering`)
        await workOn(focus, queue, order).catch((error) =>
          say(`${order.title}: ${error.message}. It stays in the queue`),
        )
        const { state, cost } = queue.orders().find(({ id }) => id === order.id) ?? order
        if (state !== 'held') say(`${order.title}: ${state}, ${cost} credits`)
      }
    }),
  )
}
