import { sql } from 'kysely'
import type { Db } from './tables.ts'

/**
 * Beyond one database: spreads the tables over the nodes of a Citus cluster by account_id. Everything of one account is
 * on one node, and no transaction touches two accounts; small tables are whole on every node. The service does not know.
 */

/** Where every table goes. A migration that adds a table adds it here; a test compares this with the catalogue. */
export const PLACES: Record<string, { by: string } | 'everywhere' | 'coordinator'> = {
  accounts: { by: 'id' },
  app_grants: { by: 'account_id' },
  jobs: { by: 'account_id' },
  ledger_entries: { by: 'account_id' },
  webhook_messages: { by: 'account_id' },
  apps: 'everywhere',
  attempts: 'everywhere',
  device_codes: 'everywhere',
  handed_out_tokens: 'everywhere',
  sessions: 'everywhere',
  settings: 'everywhere',
  tokens: 'everywhere',
  webhook_deliveries: 'everywhere',
  webhook_endpoints: 'everywhere',
  // Migrations are run through the coordinator, which passes their DDL on.
  kysely_migration: 'coordinator',
  kysely_migration_lock: 'coordinator',
}

/** What stands in the way, as a sentence for the operator. */
export class CannotShard extends Error {}

/**
 * Distributes a migrated, empty database, in one transaction. Again, it places only what later migrations have added.
 * @param db connected to the coordinator, as the owner of the tables
 * @returns the tables that were placed by this call
 * @throws {CannotShard} with what to do; nothing was changed
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
    // A reference table and the shards that point to it are changed in one transaction only one connection at a time.
    await run(trx, [
      `set local citus.multi_shard_modify_mode = 'sequential'`,
      'set local citus.enable_unsafe_triggers = on',
    ])
    const tables = (
      await rows<{ name: string }>(
        trx,
        `select relname as name from pg_class where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p') order by 1`,
      )
    ).map(({ name }) => name)
    const placed = new Set(
      (await rows<{ name: string }>(trx, 'select logicalrelid::regclass::text as name from pg_dist_partition')).map(
        ({ name }) => name,
      ),
    )
    const missing = Object.keys(PLACES).filter((table) => !tables.includes(table))
    if (missing.length)
      throw new CannotShard(`This database lacks ${missing.join(', ')}. Run \`npm run migrate\` first.`)
    const unknown = tables.filter((table) => !(table in PLACES) && !placed.has(table))
    if (unknown.length)
      throw new CannotShard(`${unknown.join(', ')}: this is no table of ours. Use a database of its own.`)

    const due = Object.keys(PLACES).filter((table) => PLACES[table] !== 'coordinator' && !placed.has(table))
    const grown = placed.has('accounts')
    for (const table of due) {
      // What a later migration has put into a small table is copied to every node.
      if (grown && PLACES[table] === 'everywhere') continue
      const [row] = await rows<{ full: boolean }>(trx, `select exists (select from ${table}) as full`)
      if (row?.full)
        throw new CannotShard(
          `The table ${table} has rows. Take an empty database: create one, migrate it, shard it, and start the service only then.`,
        )
    }
    if (due.length) await run(trx, statements(due, await foreignKeys(trx, due)))
    return due
  })
}

interface ForeignKey {
  table: string
  name: string
  definition: string
}

/** Every foreign key of these tables and to them. */
const foreignKeys = (db: Db, tables: string[]) =>
  rows<ForeignKey>(
    db,
    `select conrelid::regclass::text as "table", conname as name, pg_get_constraintdef(oid) as definition
    from pg_constraint
    where contype = 'f' and conparentid = 0 and array[conrelid::regclass::text, confrelid::regclass::text] && '{${tables}}'
    order by 1, 2`,
  )

/** The whole way: foreign keys hold only between tables that are placed already, so they go and come back. */
function statements(due: string[], keys: ForeignKey[]): string[] {
  const distributed = due.flatMap((table) => {
    const place = PLACES[table]
    if (typeof place !== 'object') return []
    const together = table === 'accounts' ? '' : `, colocate_with => 'accounts'`
    return `select create_distributed_table('${table}', '${place.by}'${together})`
  })
  return [
    ...keys.map(({ table, name }) => `alter table ${table} drop constraint ${name}`),
    // The shards' statements and triggers call them.
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
