import { readdir } from 'node:fs/promises'
import { sql } from 'kysely'
import t from 'tap'
import { accountIdOf } from '../../src/accounts/account-id.ts'
import { connectForMigration } from '../../src/db/connect.ts'
import { migrateToLatest } from '../../src/db/migrate.ts'
import { verify } from '../../src/ledger/verify.ts'
import { earlierEntries, insertEarlierRows, MIGRATIONS, migrateToEarlier } from '../support/earlier-release.ts'
import { emptyDatabase } from '../support/process.ts'

t.test('the ledger of an earlier release is whole after the upgrade, and its entries name accounts', async (t) => {
  const db = connectForMigration(await emptyDatabase(t))
  t.teardown(() => db.destroy())
  await migrateToEarlier(db)
  await insertEarlierRows(db)
  const before = await earlierEntries(db)

  t.ok((await migrateToLatest(db)).length > 10)
  const actor = accountIdOf('user_operator')
  t.match(
    await earlierEntries(db),
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
  const names = (await readdir(MIGRATIONS)).map((file) => file.slice(0, -3)).sort()
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
