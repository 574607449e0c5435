import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Test } from 'tap'
import { isCluster } from './database.ts'

/** On a cluster it is a worker's backend that waits for the lock; what the service is connected to waits for the worker. */
export const WAITING = isCluster()
  ? 'select citus_pid_for_gpid(waiting_gpid)::int as pid from citus_lock_waits'
  : `select pid from pg_stat_activity where datname = current_database() and application_name = 'focus-api'
       and wait_event_type = 'Lock'`

/** Holds the rows of accounts in the file's database, so that whatever writes to them waits there. */
export async function holdAccounts(t: Test, url: string, ...accountIds: string[]) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  await client.query('begin')
  // One by one: a cluster locks no rows of several shards in one statement.
  for (const id of accountIds) await client.query('select from accounts where id = $1 for update', [id])

  /** The service's backends that wait for a lock now; clears the statistics snapshot, which is fixed per transaction. */
  async function waitingBackends(): Promise<number[]> {
    await client.query('select pg_stat_clear_snapshot()')
    const { rows } = await client.query<{ pid: number }>(WAITING)
    return rows.map(({ pid }) => pid)
  }

  return {
    /** Resolves with the backends that wait, once there are so many that were not there before */
    async waiting(count: number, before: number[] = []): Promise<number[]> {
      for (;;) {
        const pids = (await waitingBackends()).filter((pid) => !before.includes(pid))
        if (pids.length >= count) return pids
        await sleep(10)
      }
    },
    /** As an operator's `pg_terminate_backend` */
    async terminate(pids: number[]): Promise<void> {
      await client.query('select pg_terminate_backend(pid) from unnest($1::int[]) as pid', [pids])
    },
    /** Makes reading of a table wait, too */
    lockTable: (name: string) => client.query(`lock table ${name} in access exclusive mode`),
    release: () => client.query('commit'),
  }
}
