import { readdir } from 'node:fs/promises'
import { sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import t from 'tap'
import { accountIdOf } from '../../src/accounts/account-id.ts'
import { connectForMigration } from '../../src/db/connect.ts'
import { migrateToLatest } from '../../src/db/migrate.ts'
import { verify } from '../../src/ledger/verify.ts'
import { emptyDatabase } from '../support/process.ts'

const FOLDER = new URL('../../migrations/', import.meta.url)
/** The last migration of the release whose rows are upgraded here. */
const BEFORE = '20261122T020000Z_negative_entries'

t.test('the ledger of an earlier release is whole after the upgrade, and its entries name accounts', async (t) => {
  const db = connectForMigration(await emptyDatabase(t))
  t.teardown(() => db.destroy())
  const names = (await readdir(FOLDER)).filter((file) => file.slice(0, -3) <= BEFORE)
  const migrations = Object.fromEntries(
    await Promise.all(names.map(async (file) => [file.slice(0, -3), await import(new URL(file, FOLDER).href)])),
  )
  const { error } = await new Migrator({ db, provider: { getMigrations: async () => migrations } }).migrateToLatest()
  if (error) throw error

  const [ada, job] = [accountIdOf('user_ada'), '0195a1f0-0000-7000-8000-00000000000a']
  await sql
    .raw(`
    insert into accounts (id, clerk_id, credits, held, seq) values ('${ada}', 'user_ada', 10, 5, 3);
    insert into apps (slug, starter_credits) values ('video', 0);
    insert into jobs (account_id, id, app_slug, action, reserved, expires_at)
      values ('${ada}', '${job}', 'video', 'render', 5, now() + interval '1 day');
    insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after, reference, actor) values
      ('${ada}', 1, null, 'admin_grant', 20, 20, 'a', 'user_operator'),
      ('${ada}', 2, null, 'adjustment', -5, 15, 'b', 'user_operator'),
      ('${ada}', 3, '${job}', 'job_reserve', -5, 10, null, null);`)
    .execute(db)
  const rows = async () =>
    (await sql`select * from ledger_entries order by seq`.execute(db)).rows as { actor: string }[]
  const before = await rows()

  t.ok((await migrateToLatest(db)).length > 10)
  const actor = accountIdOf('user_operator')
  t.match(
    await rows(),
    before.map((entry) => (entry.actor ? { ...entry, actor } : entry)),
  )
  t.ok((await verify(db)).ok)
  await t.rejects(sql`update ledger_entries set reason = 'changed'`.execute(db), /append-only/i)
  t.strictSame(await migrateToLatest(db), [], 'once')
})

t.test('each migration commits by itself: one that fails leaves those before it, and none of itself', async (t) => {
  const url = await emptyDatabase(t)
  const db = connectForMigration(url)
  t.teardown(() => db.destroy())
  // Taken already, as by an operator's own table.
  await sql`create table admin_actions (mine int)`.execute(db)
  await t.rejects(migrateToLatest(db), /Migration \d+T\d+Z_operator failed/)
  const applied = async () =>
    (await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db)).rows.map(
      ({ name }) => name,
    )
  const names = (await readdir(FOLDER)).map((file) => file.slice(0, -3)).sort()
  t.strictSame(await applied(), names.slice(0, names.indexOf('20261126T180703Z_operator')))

  await sql`drop table admin_actions`.execute(db)
  const others = Array.from({ length: 3 }, () => connectForMigration(url))
  t.teardown(() => Promise.all(others.map((other) => other.destroy())))
  const ran = await Promise.all(others.map(migrateToLatest))
  t.strictSame(await applied(), names)
  t.strictSame(
    ran.flat().sort(),
    names.slice(names.indexOf('20261126T180703Z_operator')),
    'each once, by whichever instance',
  )
})
