import { sql } from 'kysely'
import t from 'tap'
import { cleanUp } from '../../src/background/clean-up.ts'
import { bearer, logIn, startLogin } from '../support/device.ts'
import { start } from '../support/start.ts'

// The service runs on Postgres and, where no database is configured, on PGlite. These tests go through each part of it on
// both; every other test uses Postgres.
const ENV = { PUBLIC_URL: 'http://localhost:4321', TOPUP_URL: 'https://pay.example.com/credits' }

for (const [name, env] of [
  ['Postgres', ENV],
  ['PGlite', { ...ENV, DATABASE_URL: '' }],
] as const) {
  t.test(`on ${name}: from signing in to a settled, a failed and a refused job`, async (t) => {
    const { person } = await start(t, env)
    const ada = await person()

    const wallet = (await ada.get('/api/wallet?app=video')).json()
    t.match(wallet, { account: { plan: 'free', credits: 20, held: 0 }, app_grant: { slug: 'video', granted: true } })

    const created = await ada.post('/api/jobs', {
      app: 'video',
      action: 'render',
      cost_estimate: 5,
      metadata: { description: 'Render preview clip', previewUrl: 'https://video.example.com/1.jpg' },
    })
    t.equal(created.statusCode, 200)
    const { job_id } = created.json()
    t.strictSame(await ada.balance(), { credits: 15, held: 5 })

    const completed = await ada.complete(job_id, 3, { description: 'Render completed', durationMs: 1200 })
    t.match(completed.json(), {
      job: {
        id: job_id,
        status: 'completed',
        reserved: 5,
        actual_cost: 3,
        metadata: { description: 'Render completed', previewUrl: 'https://video.example.com/1.jpg', durationMs: 1200 },
      },
      moved: { kind: 'job_refund', amount: 2 },
      credits: 17,
      held: 0,
    })

    const reserve = (cost_estimate: number) => ada.post('/api/jobs', { app: 'video', action: 'render', cost_estimate })
    const second = (await reserve(17)).json().job_id
    const refused = await reserve(1)
    t.equal(refused.statusCode, 402)
    t.match(refused.json(), {
      error: 'insufficient_credits',
      required: 1,
      available: 0,
      topup_url: 'https://pay.example.com/credits',
    })
    t.match((await ada.fail(second)).json(), { job: { status: 'failed', actual_cost: 0 }, credits: 17 })

    const { jobs } = (await ada.get('/api/jobs')).json()
    t.strictSame(
      jobs.map(({ id, status }: { id: string; status: string }) => [id, status]),
      [
        [second, 'failed'],
        [job_id, 'completed'],
      ],
    )
    const { entries } = (await ada.get('/api/wallet/entries')).json()
    t.strictSame(
      entries.map((entry: { kind: string; amount: number; balance_after: number }) => [
        entry.kind,
        entry.amount,
        entry.balance_after,
      ]),
      [
        ['job_release', 17, 17],
        ['job_reserve', -17, 0],
        ['job_refund', 2, 17],
        ['job_reserve', -5, 15],
        ['starter_grant', 20, 20],
      ],
    )
  })

  t.test(`on ${name}: a device asks, a person approves, and the device works with its token`, async (t) => {
    const { app, person } = await start(t, env)
    const ada = await person()
    const started = await app.inject({
      method: 'POST',
      url: '/api/device/start',
      payload: { client_name: 'focus on ada-laptop' },
    })
    t.equal(started.statusCode, 200)
    t.equal(started.headers['cache-control'], 'no-store')
    const { device_code, user_code, ...rest } = started.json()
    t.match(device_code, /^[\w-]{43}$/)
    t.match(user_code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-\d{4}$/)
    t.strictSame(rest, {
      verification_uri: 'http://localhost:4321/device',
      verification_uri_complete: `http://localhost:4321/device?user_code=${user_code}`,
      expires_in: 900,
      interval: 5,
    })

    const poll = () => app.inject({ url: `/api/device/poll?device_code=${device_code}` })
    const pending = await poll()
    t.equal(pending.statusCode, 202)
    t.equal(pending.headers['cache-control'], 'no-store')
    t.strictSame(pending.json(), { status: 'pending', interval: 5 })

    const completed = await ada.postFromOurPage('/api/device/complete', { user_code })
    t.equal(completed.statusCode, 200)
    t.strictSame(completed.json(), { ok: true })

    const polled = await poll()
    t.equal(polled.statusCode, 200)
    t.equal(polled.headers['cache-control'], 'no-store')
    const { token, token_type, expires_at } = polled.json()
    t.match(token, /^focus_pat_[0-9A-Za-z]{49}$/)
    t.equal(token_type, 'Bearer')
    t.equal(Math.round((Date.parse(expires_at) - Date.now()) / 86_400_000), 90)

    const cli = bearer(app, token)
    t.equal((await cli.get('/api/wallet?app=video')).json().account.id, ada.id)
    const created = await cli.post('/api/jobs', { app: 'video', action: 'render', cost_estimate: 5 })
    t.equal(created.statusCode, 200)
    const { job_id } = created.json()
    t.match((await cli.post('/api/jobs/complete', { job_id, actual_cost: 3 })).json(), { credits: 17, held: 0 })
  })

  t.test(`on ${name}: erasing clears whose an account was, and closes it`, async (t) => {
    const { admin, person } = await start(t, env)
    const [boss, hal] = [await admin(), await person()]
    await hal.get('/api/wallet?app=video')
    await hal.reserve(3)
    t.match((await boss.post('/api/admin/accounts/erase', { clerk_id: hal.clerkId })).json(), {
      account: { clerk_id: 'erased', credits: 20, held: 0 },
    })
    t.equal((await hal.reserve(0)).statusCode, 403)
  })

  t.test(`on ${name}: what is old and has nothing more to say is deleted, the rest stays`, async (t) => {
    const { app, db, person } = await start(t, env)
    // What earlier tests have left is not counted below.
    await cleanUp(db)
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

    const deleted = await cleanUp(db)
    t.match(deleted, { device_codes: 1, tokens: 2, sessions: 1, handed_out_tokens: 1, attempts: 1 })
    t.strictSame(new Set(Object.values(await cleanUp(db))), new Set([0]), 'nothing more')

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
