import { readdirSync, readFileSync } from 'node:fs'

/** CPU time and memory of processes, from Linux' /proc; NaN on other systems. */

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

/** CPU time that a process has used, in user and kernel mode, in seconds. */
export const cpuSecondsOf = (pid: number): number => seconds(statOf(pid), 11, 12)

/**
 * CPU time that Postgres servers have used, in seconds: that of each postmaster, of its processes, and of its ended processes, which the
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

/** The parent of a process; NaN without /proc. */
export const parentOf = (pid: number): number => Number(statOf(pid)[1])

/** Memory of a process in MB. */
export function memoryOf(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024
  } catch {
    return Number.NaN
  }
}
