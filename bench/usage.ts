import { readdirSync, readFileSync } from 'node:fs'

/** What Linux says of processes; NaN where there is no /proc. */

/** Fields of /proc/<pid>/stat after the command name, which may hold spaces. */
function statOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  } catch {
    return []
  }
}

/** Fields of a stat line, which are hundredths of a second, in seconds. */
const seconds = (stat: string[], ...fields: number[]) => fields.reduce((sum, i) => sum + Number(stat[i]), 0) / 100

/** Seconds of CPU that a process has used, in user and kernel mode. */
export const cpuSecondsOf = (pid: number): number => seconds(statOf(pid), 11, 12)

/**
 * Seconds of CPU that servers of Postgres have used: each postmaster, its processes, and those that have ended, which the
 * postmaster has waited for.
 */
export function cpuSecondsOfPostgres(postmasters: number[]): number {
  const own = postmasters.reduce((sum, pid) => sum + seconds(statOf(pid), 11, 12, 13, 14), 0)
  if (Number.isNaN(own)) return own
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
  const children = stats.filter((stat) => postmasters.includes(Number(stat[1])))
  return children.reduce((sum, stat) => sum + seconds(stat, 11, 12), own)
}

/** The process that started this one; NaN where there is no /proc. */
export const parentOf = (pid: number): number => Number(statOf(pid)[1])

/** Memory of a process in MB. */
export function memoryOf(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024
  } catch {
    return Number.NaN
  }
}
