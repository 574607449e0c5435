import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { cleanUp } from '../src/background/clean-up.ts'
import { bearer, logIn, startLogin } from './support/device.ts'
import { start } from './support/start.ts'

for (const [name, env] of [
  ['Postgres', {}],
  ['PGlite', { DATABASE_URL: '' }],
] as const) {
  t.test(`on ${name}: what is old and has nothing more to say is deleted, the rest stays`, async (t) => {
    const { app, db, person } = await start(t, env)
    const ada = await person()
    const [fresh, expired, old] = [await startLogin(app), await startLogin(app), await startLogin(app)]
    const tokens = [await logIn(app, ada), await logIn(app, ada), await logIn(app, ada), await logIn(app, ada)] as const
    const [live, revokedLately, revokedLongAgo, expiredLongAgo] = tokens
    const code = (user_code: string, ago: string) =>
      sql`update device_codes set expires_at = now() - ${ago}::interval where user_code = ${user_code}`.execute(db)
    await code(expired.user_code, '23 hours')
    await code(old.user_code, '25 hours')
    const end = (token: string, change: ReturnType<typeof sql>) =>
      sql`update tokens set ${change} where account_id = ${ada.id} and last_four = ${token.slice(-4)}`.execute(db)
    await end(revokedLately, sql`revoked_at = now() - interval '29 days'`)
    await end(revokedLongAgo, sql`revoked_at = now() - interval '31 days'`)
    await end(expiredLongAgo, sql`expires_at = now() - interval '31 days'`)
    const session = (session_hash: string, ago: string) =>
      sql`insert into sessions (session_hash, account_id, clerk_sid, expires_at)
        values (${session_hash}, ${ada.id}, 'sess_1', now() - ${ago}::interval)`.execute(db)
    await session('over', '1 second')
    await session('lives', '-1 hour')
    await sql`insert into handed_out_tokens values
      ('over', now() - interval '1 second'), ('lives', now() + interval '1 minute')`.execute(db)
    await sql`insert into attempts (kind, subject, made_at, expires_at) values
      ('code_by_account', 'old', array[now()], now() - interval '1 second')`.execute(db)

    t.strictSame(await cleanUp(db), { device_codes: 1, tokens: 2, sessions: 1, handed_out_tokens: 1, attempts: 1 })
    t.strictSame(await cleanUp(db), { device_codes: 0, tokens: 0, sessions: 0, handed_out_tokens: 0, attempts: 0 })

    t.equal((await fresh.poll()).statusCode, 202)
    t.match((await expired.poll()).json(), { error: 'expired_token' })
    t.equal((await old.poll()).statusCode, 404)
    const outcome = async (token: string) => (await bearer(app, token).get('/api/wallet')).json().error ?? 'works'
    t.strictSame(await Promise.all(tokens.map(outcome)), ['works', 'token_revoked', 'invalid_token', 'invalid_token'])
    t.equal(await outcome(live), 'works')
    const cookie = await app.inject({ url: '/api/wallet', headers: { cookie: ada.cookie } })
    t.equal(cookie.statusCode, 200, 'people stay signed in')
    const left = await db.selectFrom('sessions').select('session_hash').where('clerk_sid', '=', 'sess_1').execute()
    t.strictSame(left, [{ session_hash: 'lives' }])
  })
}

t.test('replicas that clean at the same time share the work, batch by batch', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  await cleanUp(one.db)
  await sql`insert into sessions (session_hash, account_id, clerk_sid, expires_at)
    select 'old-' || n, ${randomUUID()}, 'sess_2', now() - interval '1 day' from generate_series(1, 1700) n`.execute(
    one.db,
  )
  const passes = await Promise.all([cleanUp(one.db), cleanUp(two.db), cleanUp(one.db), cleanUp(two.db)])
  // Rows that somebody else is deleting are passed over, so a pass may end while another is still at it.
  const rest = await cleanUp(one.db)
  t.equal(
    [...passes, rest].reduce((sum, { sessions }) => sum + sessions, 0),
    1700,
  )
})

t.test('a row that another replica is deleting is not waited for', async (t) => {
  const { db } = await start(t)
  const [session_hash, account_id] = [randomUUID(), randomUUID()]
  await sql`insert into sessions (session_hash, account_id, clerk_sid, expires_at)
    values (${session_hash}, ${account_id}, 'sess_4', now() - interval '1 day')`.execute(db)
  await db.transaction().execute(async (trx) => {
    await sql`select 1 from sessions where session_hash = ${session_hash} for update`.execute(trx)
    t.match(await cleanUp(db), { sessions: 0 })
  })
  t.match(await cleanUp(db), { sessions: 1 })
})

t.test('a pass ends between two batches when the service stops', async (t) => {
  const { db } = await start(t)
  await sql`insert into sessions (session_hash, account_id, clerk_sid, expires_at)
    values (${randomUUID()}, ${randomUUID()}, 'sess_3', now() - interval '1 day')`.execute(db)
  t.match(await cleanUp(db, AbortSignal.abort()), { sessions: 0 })
  t.match(await cleanUp(db), { sessions: 1 })
})
