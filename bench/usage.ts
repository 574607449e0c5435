import { existsSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** What the system says of processes. */

/** Seconds of CPU that a process has used; NaN where there is no /proc. */
export function cpuSecondsOf(pid: number): number {
  if (!existsSync('/proc/self/stat')) return Number.NaN
  // Behind the command's name, which may hold spaces: fields 14 and 15, in hundredths of a second.
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Memory of a process in MB; NaN where there is no /proc. */
export function memoryOf(pid: number): number {
  if (!existsSync('/proc/self/stat')) return Number.NaN
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024
}

/** Seconds of CPU that the whole machine has used. */
export function cpuSecondsOfAll(): number {
  const busy = cpus().map(({ times }) => times.user + times.nice + times.sys + times.irq)
  return busy.reduce((sum, ms) => sum + ms, 0) / 1000
}
