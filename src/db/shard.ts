import { sql } from 'kysely'
import type { Db } from './tables.ts'

/**
 * Distributes the tables over a Citus cluster by account_id. All rows of an account are on one node, and no transaction
 * touches two accounts. Small tables are copied to every node. The service needs no changes.
 */

/** The placement of every table. A migration that adds a table adds it here; a test compares the two. */
export const PLACES: Record<string, { by: string } | 'everywhere' | 'coordinator'> = {
  accounts: { by: 'id' },
  admin_actions: { by: 'account_id' },
  app_grants: { by: 'account_id' },
  budgets: { by: 'account_id' },
  jobs: { by: 'account_id' },
  ledger_entries: { by: 'account_id' },
  payers: { by: 'account_id' },
  purchases: { by: 'account_id' },
  webhook_attempts: { by: 'account_id' },
  webhook_messages: { by: 'account_id' },
  app_additions: 'everywhere',
  apps: 'everywhere',
  attempts: 'everywhere',
  authorizations: 'everywhere',
  daily_totals: 'everywhere',
  device_codes: 'everywhere',
  grants: 'everywhere',
  handed_out_tokens: 'everywhere',
  local_accounts: 'everywhere',
  packs: 'everywhere',
  refresh_tokens: 'everywhere',
  service_keys: 'everywhere',
  sessions: 'everywhere',
  settings: 'everywhere',
  statistics: 'everywhere',
  tokens: 'everywhere',
  webhook_deliveries: 'everywhere',
  webhook_endpoints: 'everywhere',
  // Written at every turn of the dispatcher, so it stays on one node: the one that the service connects to.
  webhook_delivery_state: 'coordinator',
  // Migrations run on the coordinator, which propagates their DDL.
  kysely_migration: 'coordinator',
  kysely_migration_lock: 'coordinator',
}

/** Thrown when a precondition is not met. The message tells the operator what to do. */
export class CannotShard extends Error {}

/**
 * Distributes a migrated, empty database in one transaction. A later call places only tables added by newer migrations.
 * @param db connected to the coordinator as the owner of the tables
 * @returns the tables that this call placed
 * @throws {CannotShard} nothing was changed
 */
export async function shard(db: Db): Promise<string[]> {
  const [citus] = await rows<{ there: boolean }>(
    db,
    `select to_regproc('create_distributed_table') is not null and to_regclass('pg_dist_partition') is not null as there`,
  )
  if (!citus?.there) {
    throw new CannotShard(
      'This database has no Citus. Run `create extension citus` in it, on every node, and add the nodes on the coordinator with citus_add_node.',
    )
  }
  return db.transaction().execute(async (trx) => {
    const placed = await placedTables(trx)
    const tables = (
      await rows<{ name: string }>(
        trx,
        `select relname as name from pg_class where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p') order by 1`,
      )
    ).map(({ name }) => name)
    const missing = Object.keys(PLACES).filter((table) => !tables.includes(table))
    if (missing.length)
      throw new CannotShard(`This database lacks ${missing.join(', ')}. Run \`npm run migrate\` first.`)
    const unknown = tables.filter((table) => !(table in PLACES) && !placed.has(table))
    if (unknown.length)
      throw new CannotShard(`${unknown.join(', ')}: not a table of this service. Use a separate database.`)
    return placeDue(trx, placed)
  })
}

/**
 * Places the tables that newer migrations have added to a distributed database. Does nothing on any other database.
 * @returns the tables that this call placed
 * @throws {CannotShard} nothing was changed
 */
export async function placeAdded(db: Db): Promise<string[]> {
  const [citus] = await rows<{ there: boolean }>(db, `select to_regclass('pg_dist_partition') is not null as there`)
  if (!citus?.there) return []
  return db.transaction().execute(async (trx) => {
    const placed = await placedTables(trx)
    return placed.has('accounts') ? placeDue(trx, placed) : []
  })
}

/** @returns the names of the placed tables. Takes a lock, so that until the transaction ends no other instance places tables. */
async function placedTables(trx: Db): Promise<Set<string>> {
  await run(trx, [`select pg_advisory_xact_lock(hashtext('focus_shard'))`])
  const placed = await rows<{ name: string }>(trx, 'select logicalrelid::regclass::text as name from pg_dist_partition')
  return new Set(placed.map(({ name }) => name))
}

async function placeDue(trx: Db, placed: Set<string>): Promise<string[]> {
  const due = Object.keys(PLACES).filter((table) => PLACES[table] !== 'coordinator' && !placed.has(table))
  const isSharded = placed.has('accounts')
  for (const table of due) {
    // Citus copies the rows that a newer migration has inserted into a reference table.
    if (isSharded && PLACES[table] === 'everywhere') continue
    const [row] = await rows<{ has_rows: boolean }>(trx, `select exists (select from ${table}) as has_rows`)
    if (row?.has_rows)
      throw new CannotShard(
        isSharded
          ? `The table ${table} has rows that were written before it was placed on the nodes. Copy them elsewhere, empty it and run this again.`
          : `The table ${table} has rows. Start with an empty database: create it, migrate it, shard it, then start the service.`,
      )
  }
  if (due.length) await place(trx, due)
  return due
}

/** Places tables on the nodes according to PLACES. */
export async function place(trx: Db, tables: string[]): Promise<void> {
  await run(trx, [
    // Citus requires sequential mode to change a reference table and the shards that refer to it in one transaction.
    `set local citus.multi_shard_modify_mode = 'sequential'`,
    'set local citus.enable_unsafe_triggers = on',
    SHARD_COUNT,
    ...statements(tables, await foreignKeys(trx, tables)),
  ])
}

/**
 * SQL that sets four shards per node, unless the operator has set citus.shard_count. Postings are batched per shard: with twice the shards
 * a batch has half the operations, and its transaction costs the coordinator nearly as much.
 */
const SHARD_COUNT = `select set_config('citus.shard_count', (4 * count(*))::text, true) from pg_dist_node
  where shouldhaveshards and (select source from pg_settings where name = 'citus.shard_count') = 'default'
  having count(*) > 0`

interface ForeignKey {
  table: string
  name: string
  definition: string
}

/** The foreign keys that these tables have or that refer to them. */
const foreignKeys = (db: Db, tables: string[]) =>
  rows<ForeignKey>(
    db,
    `select conrelid::regclass::text as "table", conname as name, pg_get_constraintdef(oid) as definition
    from pg_constraint
    where contype = 'f' and conparentid = 0 and array[conrelid::regclass::text, confrelid::regclass::text] && '{${tables}}'
    order by 1, 2`,
  )

/** The statements to run. Foreign keys are dropped and added again, because Citus requires both tables to be placed first. */
function statements(due: string[], keys: ForeignKey[]): string[] {
  const distributed = due.flatMap((table) => {
    const place = PLACES[table]
    if (typeof place !== 'object') return []
    const together = table === 'accounts' ? '' : `, colocate_with => 'accounts'`
    return `select create_distributed_table('${table}', '${place.by}'${together})`
  })
  return [
    ...keys.map(({ table, name }) => `alter table ${table} drop constraint ${name}`),
    // Statements and triggers call these functions on every node.
    `select create_distributed_function(oid::regprocedure) from pg_proc
      where pronamespace = current_schema()::regnamespace and prokind in ('f', 'a')
        and not exists (select from pg_depend where objid = pg_proc.oid and deptype = 'e')`,
    ...due
      .filter((table) => PLACES[table] === 'everywhere')
      .map((table) => `select create_reference_table('${table}')`),
    ...distributed,
    ...keys.map(({ table, name, definition }) => `alter table ${table} add constraint ${name} ${definition}`),
  ]
}

async function run(db: Db, texts: string[]): Promise<void> {
  for (const text of texts) await sql.raw(text).execute(db)
}

async function rows<Row>(db: Db, text: string): Promise<Row[]> {
  return (await sql.raw<Row>(text).execute(db)).rows
}
