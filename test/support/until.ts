import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits until `holds` answers true.
 * @throws after 20 s
 */
export async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = performance.now() + 20_000; performance.now() < end; await sleep(20)) if (await holds()) return
  throw new Error('The condition did not hold within 20 s.')
}
