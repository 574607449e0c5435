import { sql } from 'kysely'
import t from 'tap'
import { accountIdOf } from '../../src/accounts/account-id.ts'
import { connectForMigration } from '../../src/db/connect.ts'
import { migrateToLatest } from '../../src/db/migrate.ts'
import { PLACES, place, shard } from '../../src/db/shard.ts'
import { verify } from '../../src/ledger/verify.ts'
import { checkCopies } from '../support/copies.ts'
import { createOnCluster, dropTemplate, nodes } from '../support/database.ts'
import { earlierEntries, insertEarlierRows, migrateToEarlier } from '../support/earlier-release.ts'
import { personWith, startOwn } from '../support/start.ts'

/** What release 0.1.0 placed. */
const EARLIER = [
  ...['accounts', 'app_grants', 'jobs', 'ledger_entries', 'webhook_messages', 'apps', 'attempts', 'device_codes'],
  ...['sessions', 'settings', 'tokens', 'webhook_deliveries', 'webhook_endpoints'],
]

t.test('instances upgrade a cluster with the rows of an earlier release, and serve it', async (t) => {
  const { name, url } = await createOnCluster(nodes())
  t.teardown(() => dropTemplate(nodes(), name))
  const db = connectForMigration(url)
  t.teardown(() => db.destroy())
  await migrateToEarlier(db)
  await db.transaction().execute((trx) => place(trx, EARLIER))
  await insertEarlierRows(db)
  const before = await earlierEntries(db)

  const others = [db, connectForMigration(url)] as const
  t.teardown(() => others[1].destroy())
  const ran = (await Promise.all(others.map(migrateToLatest))).flat()
  t.ok(ran.length > 10)
  t.equal(new Set(ran).size, ran.length, 'each once, by whichever instance')
  const { rows } = await sql<{ table: string }>`select logicalrelid::text as "table" from pg_dist_partition`.execute(db)
  t.strictSame(
    rows.map(({ table }) => table).sort(),
    Object.keys(PLACES)
      .filter((table) => PLACES[table] !== 'coordinator')
      .sort(),
  )
  t.strictSame(await shard(db), [])
  const actor = accountIdOf('user_operator')
  t.match(
    await earlierEntries(db),
    before.map((entry) => (entry.actor ? { ...entry, actor } : entry)),
  )
  t.ok((await verify(db)).ok)
  await t.rejects(db.updateTable('ledger_entries').set({ reason: 'changed' }).execute(), /append-only/i)

  const { app, admin } = await startOwn(t, { DATABASE_URL: url })
  const ada = await personWith(app, 10)
  const { job_id } = (await ada.reserve(4)).json()
  t.equal((await ada.complete(job_id, 3)).statusCode, 200)
  const operator = await admin()
  const { account } = (await operator.get(`/api/admin/accounts/${accountIdOf('user_ada')}`)).json()
  t.match(account, { credits: 10, held: 5 })
  t.ok((await verify(db)).ok)
  await checkCopies(url)
})
