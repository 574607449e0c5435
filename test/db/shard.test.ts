import { execFile } from 'node:child_process'
import t, { type Test } from 'tap'
import { connectForMigration } from '../../src/db/connect.ts'
import { PLACES, shard } from '../../src/db/shard.ts'
import { freshDatabase, query } from '../support/database.ts'
import { emptyDatabase } from '../support/process.ts'

/**
 * Citus is in no package that tests could install. These functions of the same names and arguments record their calls and
 * refuse what Citus refuses: foreign keys to tables without a place.
 */
const STAND_IN = `
  create schema citus_stand_in;
  create table citus_stand_in.pg_dist_partition (logicalrelid regclass, partmethod "char", colocated text, position serial);
  create table citus_stand_in.pg_dist_node (shouldhaveshards boolean);
  create table citus_stand_in.functions (name text primary key);
  create function citus_stand_in.place(name regclass, method "char", with_table text) returns void language plpgsql as $$
    begin
      if exists (select from pg_constraint where contype = 'f' and name in (conrelid, confrelid)) then
        raise exception 'cannot distribute %: it has foreign keys', name;
      end if;
      insert into citus_stand_in.pg_dist_partition values (name, method, with_table);
    end $$;
  create function citus_stand_in.create_distributed_table(table_name regclass, distribution_column text,
    distribution_type text default 'hash', colocate_with text default 'default', shard_count int default null)
    returns void language plpgsql as $$
    begin
      if not exists (select from pg_index i join pg_attribute a on attrelid = table_name and attnum = indkey[0]
          where indrelid = table_name and indisprimary and attname = distribution_column) then
        raise exception '% is not the first column of the primary key of %', distribution_column, table_name;
      end if;
      perform citus_stand_in.place(table_name, 'h', colocate_with);
    end $$;
  create function citus_stand_in.create_reference_table(table_name regclass) returns void language sql as
    $$ select citus_stand_in.place(table_name, 'n', null) $$;
  create function citus_stand_in.create_distributed_function(name regprocedure) returns void language sql as
    $$ insert into citus_stand_in.functions values (name::text) on conflict do nothing $$;`

async function cluster(t: Test, url?: string) {
  const { url: fresh, drop } = url ? { url, drop: async () => {} } : await freshDatabase()
  t.teardown(drop)
  await query(fresh, STAND_IN)
  const name = new URL(fresh).pathname.slice(1)
  await query(fresh, `alter database ${name} set search_path = public, citus_stand_in`)
  const db = connectForMigration(fresh)
  t.teardown(() => db.destroy())
  return { url: fresh, db }
}

const KEYS = `select conrelid::regclass::text as "table", conname, pg_get_constraintdef(oid) as definition from pg_constraint
  where contype = 'f' and connamespace = 'public'::regnamespace order by 1, 2`

t.test('every table is placed, and every foreign key is restored', async (t) => {
  const { url, db } = await cluster(t)
  const keys = await query(url, KEYS)
  t.ok(keys.length >= 1)
  const tables = await query<{ tablename: string }>(url, `select tablename from pg_tables where schemaname = 'public'`)
  t.strictSame(
    tables.map(({ tablename }) => tablename).sort(),
    Object.keys(PLACES).sort(),
    'a migration that adds a table gives it a place in src/db/shard.ts',
  )

  await shard(db)
  const placed = await query<{ table: string; method: string; colocated: string | null }>(
    url,
    'select logicalrelid::text as "table", partmethod as method, colocated from pg_dist_partition order by position',
  )
  for (const [table, place] of Object.entries(PLACES)) {
    const method = placed.find((row) => row.table === table)?.method
    t.equal(method, place === 'coordinator' ? undefined : place === 'everywhere' ? 'n' : 'h', table)
  }
  const [first, ...others] = placed.filter(({ method }) => method === 'h')
  t.equal(first?.table, 'accounts')
  t.ok(
    others.every(({ colocated }) => colocated === 'accounts'),
    'what belongs to an account is where it is',
  )
  t.strictSame(await query(url, KEYS), keys)
  const functions = await query(url, 'select name from functions order by 1')
  t.strictSame(
    functions.map(({ name }) => name),
    [
      'admin_actions_refuse_change()',
      'credits_after(bigint,bigint,bigint,boolean)',
      'ledger_entries_refuse_change()',
      'merge_metadata(jsonb,jsonb)',
      'running_credits(bigint,bigint,boolean)',
    ],
  )
})

t.test('every unique index of a sharded table begins with its account', async (t) => {
  const { url, drop } = await freshDatabase()
  t.teardown(drop)
  const indexes = await query<{ table: string; index: string; column: string }>(
    url,
    `select indrelid::regclass::text as "table", indexrelid::regclass::text as index, attname as "column"
    from pg_index join pg_attribute on attrelid = indrelid and attnum = indkey[0] where indisunique`,
  )
  for (const { table, index, column } of indexes) {
    const place = PLACES[table]
    if (typeof place === 'object') t.equal(column, place.by, index)
  }
})

t.test('running it again places only tables that later migrations have added', async (t) => {
  const { url, db } = await cluster(t)
  t.ok((await shard(db)).includes('accounts'))
  await query(url, `insert into accounts (id, clerk_id) values (gen_random_uuid(), 'user_ada')`)
  t.strictSame(await shard(db), [])
  await query(url, `delete from pg_dist_partition where logicalrelid = 'webhook_endpoints'::regclass`)
  await query(
    url,
    `insert into webhook_endpoints (id, app_slug, url, secret, events) values (gen_random_uuid(), 'video', '', '', '{job.failed}')`,
  )
  t.strictSame(await shard(db), ['webhook_endpoints'], 'a small one with the rows that it came with')
})

t.test('it refuses with a message, and changes nothing', async (t) => {
  const { url, db } = await cluster(t)
  const keys = await query(url, KEYS)
  await query(url, `insert into apps (slug) values ('video')`)
  await t.rejects(shard(db), { message: /^The table apps has rows\. Start with an empty database/ })
  await query(url, 'delete from apps')
  await query(url, 'create table mine (id int)')
  await t.rejects(shard(db), { message: /^mine: not a table of this service\./ })
  await query(url, 'drop table mine')
  // Half-way: the last table of all cannot be placed.
  await query(url, 'alter table webhook_messages drop constraint webhook_messages_pkey')
  await t.rejects(shard(db), { message: /account_id is not the first column of the primary key of webhook_messages/ })
  t.strictSame(await query(url, KEYS), keys)
  t.strictSame(await query(url, 'select from pg_dist_partition'), [])

  const { db: unmigrated } = await cluster(t, await emptyDatabase(t))
  await t.rejects(shard(unmigrated), { message: /^This database lacks accounts, .*Run `npm run migrate` first\.$/ })
})

t.test('npm run shard reports a missing Citus in one sentence, and fails', async (t) => {
  const { url, drop } = await freshDatabase()
  t.teardown(drop)
  const run = (env: Record<string, string>) =>
    new Promise<{ code: unknown; err: string }>((resolve) => {
      // Inside a test, tap has put its own hooks into NODE_OPTIONS.
      const options = { env: { PATH: process.env.PATH, ...env } }
      execFile(process.execPath, ['src/commands/run-shard.ts'], options, (error, _, err) =>
        resolve({ code: error?.code, err }),
      )
    })
  t.match(await run({ DATABASE_URL: url }), {
    code: 1,
    err: /^This database has no Citus\. Run `create extension citus`/,
  })
  t.match(await run({}), { code: 1, err: /^Set DATABASE_URL to the coordinator/ })
})
