import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { query } from '../test/support/database.ts'
import { cpuSecondsOfPostgres } from './usage.ts'

/** The baseline: pgbench doing the same work with the hand-written SQL of limit.sql. */

const run = promisify(execFile)
const CLIENTS = 16

/**
 * pgbench in `pg_config --bindir`.
 * @returns undefined if pg_config or pgbench is not installed; the bench then continues without ratios to the limit
 */
export async function findPgbench(): Promise<string | undefined> {
  const { stdout } = await run('pg_config', ['--bindir']).catch(() => ({ stdout: '' }))
  const file = join(stdout.trim(), 'pgbench')
  return stdout && existsSync(file) ? file : undefined
}

/** Makes the tables of limit.sql in an empty database. */
export async function prepareLimit(url: string): Promise<void> {
  await query(url, await readFile(new URL('limit.sql', import.meta.url), 'utf8'))
  await query(url, 'vacuum analyze')
}

/**
 * Runs limit-job.sql with prepared statements, on random accounts.
 * @param accounts 1 to 2,000
 * @returns operations per second, without the time to connect, and Postgres' CPU time in µs per operation; NaN without pgbench
 */
export async function measureLimit(
  { pgbench, url, postmasters }: { pgbench: string | undefined; url: string; postmasters: number[] },
  accounts: number,
  seconds: number,
): Promise<{ perSecond: number; postgresCpu: number }> {
  if (!pgbench) return { perSecond: Number.NaN, postgresCpu: Number.NaN }
  const before = cpuSecondsOfPostgres(postmasters)
  const { stdout } = await run(pgbench, [
    ...['--no-vacuum', '--protocol=prepared', `--client=${CLIENTS}`, '--jobs=2', `--time=${seconds}`],
    ...[`--define=accounts=${accounts}`, '--define=turn=0', `--define=base=${BigInt(Date.now()) << 16n}`],
    ...[`--file=${new URL('limit-job.sql', import.meta.url).pathname}`, url],
  ])
  const [, jobs] = /transactions actually processed: (\d+)/.exec(stdout) ?? []
  const [, perSecond] = /tps = ([\d.]+)/.exec(stdout) ?? []
  if (!Number(jobs)) throw new Error(`pgbench did nothing:\n${stdout}`)
  const cpu = cpuSecondsOfPostgres(postmasters) - before
  return { perSecond: 2 * Number(perSecond), postgresCpu: (cpu / (2 * Number(jobs))) * 1e6 }
}
