import { sql } from 'kysely'
import pg from 'pg'
import type { Db } from '../../src/db/tables.ts'
import { isCluster } from './database.ts'

/** A line of EXPLAIN as text. On a cluster it shows the plan of one shard below that of the coordinator. */
export interface Plan {
  'QUERY PLAN': string
}

export const textOf = (rows: Plan[]): string => rows.map((row) => row['QUERY PLAN']).join('\n')

/** A statement with its values in place of its parameters. */
export const inlined = (text: string, values: readonly unknown[]): string =>
  text.replace(/\$(\d+)/g, (_, n) => {
    const value = values[Number(n) - 1] ?? null
    return value === null ? 'null' : pg.escapeLiteral(value instanceof Date ? value.toISOString() : String(value))
  })

/** The plan of a statement where the planner reads a whole table only if nothing else is possible. */
export const planWithoutScans = (db: Db, text: string): Promise<string> =>
  withoutScans(db, async (trx) => textOf((await sql.raw<Plan>(`explain ${text}`).execute(trx)).rows))

/** The same, for a statement with parameters as it is prepared once for all values. Citus plans it for each; there, for a sample. */
export const preparedPlan = (db: Db, text: string): Promise<string> =>
  withoutScans(db, async (trx) => {
    if (!isCluster()) await sql`set local plan_cache_mode = force_generic_plan`.execute(trx)
    await sql.raw(`prepare explained as ${text}`).execute(trx)
    const { rows: parameters } = await sql<{ type: string }>`select unnest(parameter_types)::text as type
      from pg_prepared_statements where name = 'explained'`.execute(trx)
    const values = parameters.map(({ type }) => (isCluster() ? (SAMPLES[type] ?? 'null') : 'null'))
    const { rows } = await sql.raw<Plan>(`explain execute explained${values.length ? `(${values})` : ''}`).execute(trx)
    await sql`deallocate explained`.execute(trx)
    return textOf(rows)
  })

const SAMPLES: Record<string, string> = {
  uuid: `'0195a1f0-0000-7000-8000-000000000001'`,
  text: `'sample'`,
  integer: '50',
  bigint: '50',
}

const withoutScans = (db: Db, read: (trx: Db) => Promise<string>): Promise<string> =>
  db.transaction().execute(async (trx) => {
    // The nodes of a cluster plan their shards; on a plain Postgres this setting has no meaning.
    await sql`set local citus.propagate_set_commands = 'local'`.execute(trx)
    await sql`set local enable_seqscan = off`.execute(trx)
    return read(trx)
  })
