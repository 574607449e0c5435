import { readFile } from 'node:fs/promises'
import { sql } from 'kysely'
import t from 'tap'
import { buildApp } from '../src/app.ts'
import { sweepHolds } from '../src/background/sweep-holds.ts'
import { readConfig } from '../src/config.ts'
import { connect, connectForMigration } from '../src/db/connect.ts'
import { migrateToLatest } from '../src/db/migrate.ts'
import { verify } from '../src/ledger/verify.ts'
import { query } from './support/database.ts'
import { startPostgres } from './support/postgres.ts'
import { personWith } from './support/start.ts'

const OWNER = 'ledger_owner'

/** A server of its own, because roles belong to a server: a database, its owner, and the service as a lesser role. */
async function lesserService() {
  const postgres = await startPostgres()
  t.teardown(() => postgres.stop())
  await query(postgres.url, `create role ${OWNER} login createrole password 'owner'`)
  await query(postgres.url, `create database focus owner ${OWNER}`)
  const as = (user: string) => {
    const url = new URL(postgres.url)
    Object.assign(url, { username: user, password: user === OWNER ? 'owner' : 'focus', pathname: 'focus' })
    return url.href
  }
  const owner = connectForMigration(as(OWNER))
  await migrateToLatest(owner)
  const script = await readFile(new URL('../docs/roles.sql', import.meta.url), 'utf8')
  await query(as(OWNER), script)
  await query(as(OWNER), script)
  await query(as(OWNER), `create role focus login password 'focus' in role focus_service`)
  await owner.destroy()
  return { url: as('focus'), ownerUrl: as(OWNER) }
}

t.test('docs/roles.sql makes a role that does all the work and cannot touch an entry of the ledger', async (t) => {
  const { url, ownerUrl } = await lesserService()
  const config = readConfig({ LOG_LEVEL: 'silent', DATABASE_URL: url })
  const db = await connect(config.database, { lostConnection: () => {}, lostFolder: () => {} })
  t.teardown(() => db.destroy())
  const app = await buildApp(config, db)
  t.teardown(() => app.close())

  const ada = await personWith(app, 20)
  const [done, failed, expired] = [await ada.reserve(5), await ada.reserve(5), await ada.reserve(5)].map(
    (created) => created.json().job_id,
  )
  t.equal((await ada.get('/api/wallet?app=video')).json().app_grant.granted, true)
  t.equal((await ada.complete(done, 7)).statusCode, 200)
  t.equal((await ada.fail(failed)).statusCode, 200)
  t.equal((await ada.post(`/api/jobs/${expired}/heartbeat`, {})).statusCode, 200)
  await sql`update jobs set expires_at = now() where id = ${expired}`.execute(db)
  t.equal(await sweepHolds(db, app.ledger), 1)
  t.equal((await ada.complete(expired, 1)).statusCode, 200)
  const cookie = { cookie: ada.cookie, origin: config.publicUrl }
  t.equal((await app.inject({ method: 'DELETE', url: '/api/session', headers: cookie })).statusCode < 300, true)
  t.equal((await verify(db)).ok, true)

  const entries = await db.selectFrom('ledger_entries').selectAll().orderBy('account_id').orderBy('seq').execute()
  for (const attempt of [
    'update ledger_entries set amount = amount + 1',
    'update ledger_entries set reason = $$nothing$$ where seq = 1',
    'delete from ledger_entries',
    'truncate ledger_entries',
    'truncate ledger_entries cascade',
    'truncate accounts cascade',
    'alter table ledger_entries disable trigger all',
    'alter table ledger_entries disable trigger ledger_entries_append_only',
    'drop trigger ledger_entries_append_only on ledger_entries',
    'create trigger mine before insert on ledger_entries for each row execute function ledger_entries_refuse_change()',
    'create or replace function ledger_entries_refuse_change() returns trigger language plpgsql as $$ begin return null; end $$',
    'alter table ledger_entries drop constraint ledger_entries_amount',
    'drop table ledger_entries cascade',
    'alter table ledger_entries owner to focus',
    `set session_replication_role = 'replica'`,
    `set role ${OWNER}`,
    'delete from jobs',
    'delete from accounts',
    'delete from kysely_migration',
    'create table mine (id int)',
  ]) {
    const refusal = await query(url, attempt).then(
      () => 'it was done',
      (error) => error.code,
    )
    t.equal(refusal, '42501', attempt)
  }
  t.strictSame(
    await db.selectFrom('ledger_entries').selectAll().orderBy('account_id').orderBy('seq').execute(),
    entries,
  )

  // The owner meets the trigger, and a table of a later migration is open to the service.
  for (const attempt of [
    'update ledger_entries set amount = 1',
    'delete from ledger_entries',
    'truncate ledger_entries',
  ]) {
    await t.rejects(query(ownerUrl, attempt), { code: '23001' }, attempt)
  }
  await query(ownerUrl, 'create table later (id int)')
  await query(url, 'insert into later values (1)')
})
