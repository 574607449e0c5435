import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { reserveHold } from '../src/ledger/reserve.ts'
import { end } from '../src/ledger/settle.ts'
import type { Person } from './people.ts'

/** pgbench with the service's own two statements: what Postgres does when nothing stands before it. */

const run = promisify(execFile)

/** Where pgbench is; undefined where it is not installed. */
export async function findPgbench(): Promise<string | undefined> {
  const configured = await run('pg_config', ['--bindir']).then(
    ({ stdout }) => [stdout.trim()],
    () => [],
  )
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, 'bin')) : []
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...configured, ...versions]
  return folders.map((folder) => join(folder, 'pgbench')).find((file) => existsSync(file))
}

/** Accounts whose ids can be computed from a number: looking one up would be part of what is measured. */
export const numberedAccounts = (count: number): Person[] =>
  Array.from({ length: count }, (_, i) => ({
    clerkId: `user_pgbench_${i + 1}`,
    accountId: createHash('md5')
      .update(String(i + 1))
      .digest('hex'),
  }))

export interface Pgbench {
  /** Where it is; undefined where it is not installed */
  pgbench: string | undefined
  /** A folder for its script */
  folder: string
  url: string
}

/**
 * Runs the two statements in turn, prepared, each a commit of its own, on accounts taken at random: the ids of
 * `numberedAccounts`.
 * @returns statements per second, without the time it takes to connect; NaN without pgbench
 */
export async function pgbench(
  { pgbench: program, folder, url }: Pgbench,
  accounts: number,
  { connections, seconds }: { connections: number; seconds: number },
): Promise<number> {
  if (!program) return Number.NaN
  const script = join(folder, `pgbench-${accounts}.sql`)
  await writeFile(script, scriptFor(accounts))
  const { stdout } = await run(
    program,
    [
      ...['--no-vacuum', '--protocol=prepared', `--client=${connections}`, `--jobs=${Math.min(2, connections)}`],
      // On a busy machine its clock runs while it still connects.
      ...[`--time=${seconds + (connections >> 6)}`, `--define=ms=${Date.now()}`, `--file=${script}`, url],
    ],
    // Plans as the service's: made once.
    { env: { ...process.env, PGOPTIONS: '-c plan_cache_mode=force_generic_plan' } },
  )
  const perSecond = 2 * Number(/tps = ([\d.]+)/.exec(stdout)?.[1])
  if (!perSecond) throw new Error(`pgbench did nothing:\n${stdout}`)
  return perSecond
}

/** Values that the service sends are computed in the statement: pgbench knows numbers only. */
function scriptFor(accounts: number): string {
  const values: Record<string, string> = {
    account_id: 'md5(:who)',
    // As a UUIDv7, by time: 48 bits of milliseconds, the version, and the client in the place of chance.
    job_id: `(lpad(to_hex(:ms::bigint), 12, '0') || '7' || lpad(to_hex(:client_id::int), 3, '0') || '8000000000000000')`,
    app: `'video'`,
    action: `'render'`,
    cost: '5',
    ttl_seconds: '86400',
    ttl_without_key: 'false',
    status: `'completed'`,
    actual_cost: '3',
    refund_kind: `'job_refund'`,
  }
  const filled = ({ sql, order }: { sql: string; order: string[] }) =>
    `${sql.replace(/\$(\d+)/g, (_, i) => values[order[Number(i) - 1] ?? ''] ?? 'null').replaceAll('\n', ' ')};`
  const lines = [`\\set who random(1, ${accounts})`, '\\set ms :ms + 1', filled(reserveHold), filled(end)]
  return `${lines.join('\n')}\n`
}
