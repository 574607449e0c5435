import { setTimeout as sleep } from 'node:timers/promises'
import { type Focus, FocusError, JobAlreadyEnded } from '@thefocus/client'
import type { Order, Queue } from './queue.ts'

/** A film takes ten steps: longer, in all, than a person's token lives. */
const STEP_MS = Number(process.env.STEP_MS ?? 7_000)

/** Renders a film. It costs a credit for each letter of its title. */
async function render({ title }: Order, signal: AbortSignal): Promise<number> {
  for (let step = 0; step < 10; step++) await sleep(STEP_MS, undefined, { signal })
  return title.length
}

/**
 * Works on one order. It may be killed anywhere and called again: the work is then done again, but it is charged once, because all tries
 * settle the same job.
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
    // Either it was charged and the row does not say so yet, or its hold ran out while no worker was there.
    if (error instanceof JobAlreadyEnded)
      return queue.end(id, error.jobStatus === 'completed' ? 'paid' : 'unpaid', error.actualCost)
    // The service was not told what it costs: the next run goes on with the same job.
    if (error instanceof FocusError) throw error
    // Rendering has failed, and the credits are back.
    queue.end(id, 'unpaid', 0)
  }
}

/** Works on everything that is held, several orders at a time. Where the service does not answer, they stay for the next run. */
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
