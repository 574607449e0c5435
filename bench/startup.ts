import type { Measurement } from './results.ts'
import { median } from './rounds.ts'
import { memoryOf } from './usage.ts'
import type { World } from './world.ts'

const STARTS = 5

/** The time from the spawn of the process to the first 200 of /readyz, and its memory then, on a migrated database. */
export async function measureStart(world: World, url: string): Promise<Measurement> {
  const starts: { ms: number; memory: number }[] = []
  for (let i = 0; i < STARTS; i++) {
    const { startedMs: ms, pid, stop } = await world.service(url)
    starts.push({ ms, memory: memoryOf(pid) })
    await stop()
  }
  return {
    figures: [
      ['start-up, spawn to /readyz, ms', median(starts.map(({ ms }) => ms))],
      ['memory after the start, MB', median(starts.map(({ memory }) => memory))],
    ],
  }
}
