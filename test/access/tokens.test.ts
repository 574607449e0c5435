import { randomUUID } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { sql } from 'kysely'
import t from 'tap'
import { startClerk } from '../support/clerk-stand-in.ts'
import { query } from '../support/database.ts'
import { bearer, giveTokens, logIn, startLogin } from '../support/device.ts'
import { WAITING } from '../support/hold.ts'
import { databaseUrl, earlier, start } from '../support/start.ts'

const whose = async (token: string, app: Parameters<typeof bearer>[0]) => {
  const { statusCode, body } = await bearer(app, token).get('/api/wallet')
  return { statusCode, ...JSON.parse(body) }
}

t.test('a token is text that other tools can check, and is stored as a hash alone', async (t) => {
  const { app, db, person } = await start(t)
  const ada = await person()
  const token = await logIn(app, ada)
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
  const sum = [...token.slice(-6)].reduceRight((rest, digit) => rest * 62 + digits.indexOf(digit), 0)
  t.equal(sum, crc32(token.slice(0, -6)))

  const row = await db.selectFrom('tokens').selectAll().where('account_id', '=', ada.id).executeTakeFirstOrThrow()
  t.notOk(JSON.stringify(row).includes(token.slice(10, 30)))
  t.equal(row.last_four, token.slice(-4))
  const login = await sql`select * from device_codes where account_id = ${ada.id}`.execute(db)
  t.notOk(JSON.stringify(login.rows).includes(token.slice(10, 30)))
})

t.test('what cannot be a token is refused without asking the database', async (t) => {
  const { app, db, person } = await start(t)
  const token = await logIn(app, await person())
  const executeQuery = db.executeQuery
  const asked = t.capture(db, 'executeQuery', executeQuery)
  const flipped = token.slice(0, 20) + (token[20] === 'a' ? 'b' : 'a') + token.slice(21)
  for (const wrong of [flipped, `${token}x`, token.slice(0, -1), 'focus_pat_', token.replace('_pat_', '_pat_-')]) {
    const refused = await whose(wrong, app)
    t.match(refused, { statusCode: 401, error: 'invalid_token', signin_url: /\/signin/ }, wrong)
  }
  t.equal(asked().length, 0)
  t.equal((await whose(token, app)).statusCode, 200)
  t.ok(asked().length > 0, 'the capture works')
  const scheme = await app.inject({ url: '/api/wallet', headers: { authorization: `bEARER  ${token}` } })
  t.equal(scheme.statusCode, 200)
})

t.test('an unknown, an expired and a revoked token each say so, and name the way back', async (t) => {
  const { app, db, person } = await start(t)
  const ada = await person()
  const [unknown, expired, revoked] = [await logIn(app, ada), await logIn(app, ada), await logIn(app, ada)]
  const where = (token: string) => sql`where last_four = ${token.slice(-4)} and account_id = ${ada.id}`
  await sql`delete from tokens ${where(unknown)}`.execute(db)
  await sql`update tokens set expires_at = now() ${where(expired)}`.execute(db)
  t.equal((await bearer(app, revoked).delete('/api/tokens/current')).statusCode, 204)
  t.match(await whose(unknown, app), { statusCode: 401, error: 'invalid_token' })
  t.match(await whose(expired, app), { statusCode: 401, error: 'token_expired', message: /focus login/ })
  t.match(await whose(revoked, app), { statusCode: 401, error: 'token_revoked', message: /focus login/ })

  const eve = await person()
  const closed = await logIn(app, eve)
  await sql`update accounts set closed_at = now() where id = ${eve.id}`.execute(db)
  t.match(
    await whose(closed, app),
    { statusCode: 401, error: 'token_revoked' },
    'nor does a closed account have tokens',
  )
})

t.test('tokens live as long as the operator says', async (t) => {
  const { app, person } = await start(t, { PAT_TTL_DAYS: '2' })
  const ada = await person()
  await logIn(app, ada)
  const [token] = (await ada.get('/api/tokens')).json().tokens
  t.equal(Date.parse(token.expires_at) - Date.parse(token.created_at), 2 * 86_400_000)
})

t.test('the use of a token is noted once a minute', async (t) => {
  const { app, db, person } = await start(t)
  const ada = await person()
  const token = await logIn(app, ada)
  const lastUse = async () => (await ada.get('/api/tokens')).json().tokens[0].last_used_at
  t.equal(await lastUse(), null)
  await Promise.all(Array.from({ length: 8 }, () => whose(token, app)))
  const first = await lastUse()
  t.ok(Math.abs(Date.now() - Date.parse(first)) < 30_000)
  await whose(token, app)
  t.equal(await lastUse(), first)
  await sql`update tokens set last_used_at = ${earlier('last_used_at', '1 minute')} where account_id = ${ada.id}`.execute(
    db,
  )
  // Another replica has not just looked it up.
  await whose(token, (await start(t)).app)
  t.ok((await lastUse()) > first)
})

t.test(
  'a token that was just looked up is believed no longer than it lives, nor longer than five seconds',
  async (t) => {
    const [{ app, db, person }, other] = [await start(t), await start(t)]
    const [ada, eve] = [await person(), await person()]
    const [short, revoked] = [await logIn(app, ada), await logIn(app, eve)]
    await sql`update tokens set expires_at = now() + interval '1 second' where account_id = ${ada.id}`.execute(db)
    for (const token of [short, revoked])
      for (const at of [app, other.app]) t.equal((await whose(token, at)).statusCode, 200)
    const [{ id }] = (await eve.get('/api/tokens')).json().tokens
    const began = performance.now()
    const removal = {
      method: 'DELETE',
      url: `/api/tokens/${id}`,
      headers: { authorization: eve.authorization },
    } as const
    t.equal((await app.inject(removal)).statusCode, 204)
    t.match(await whose(revoked, app), { statusCode: 401, error: 'token_revoked' }, 'at once where it was revoked')
    /** What refuses a token elsewhere, and when the last request began that believed it. */
    const ended = async (token: string) => {
      for (let believed = 0; ; ) {
        const asked = (performance.now() - began) / 1000
        const { statusCode, error } = await whose(token, other.app)
        if (statusCode !== 200) return { error, believed }
        believed = asked
      }
    }
    const [expired, gone] = [await ended(short), await ended(revoked)]
    t.match([expired.error, gone.error], ['token_expired', 'token_revoked'])
    t.ok(expired.believed < 1.5, `believed ${expired.believed} s after a second of life was left`)
    t.ok(gone.believed < 5.5, `believed ${gone.believed} s after it was revoked elsewhere`)
  },
)

t.test('people see their own live tokens and revoke them; strangers cannot', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  const { app, db, person } = one
  const [ada, eve] = [await person(), await person()]
  const first = await logIn(app, ada, { client_name: 'laptop' })
  const second = await logIn(app, ada, { scope: 'account oauth' })
  const old = await logIn(app, ada, { client_name: 'old' })
  await logIn(app, eve)
  await sql`update tokens set expires_at = now() where account_id = ${ada.id} and name = 'old'`.execute(db)

  const { tokens } = (await bearer(app, first).get('/api/tokens')).json()
  t.match(tokens, [
    {
      name: 'Unnamed device',
      last_four: second.slice(-4),
      scopes: ['account', 'oauth'],
      last_used_at: null,
      current: false,
    },
    { name: 'laptop', last_four: first.slice(-4), scopes: ['account'], last_used_at: String, current: true },
  ])
  t.equal(tokens.length, 2)
  t.strictSame(Object.keys(tokens[0]), [
    'id',
    'name',
    'last_four',
    'scopes',
    'created_at',
    'last_used_at',
    'last_used_from',
    'expires_at',
    'made_by',
    'budget',
    'period',
    'apps',
    'spent',
    'left',
    'resets_at',
    'current',
  ])
  t.match(await whose(old, app), { error: 'token_expired' })

  const remove = (who: typeof ada, id: string) =>
    app.inject({ method: 'DELETE', url: `/api/tokens/${id}`, headers: { authorization: who.authorization } })
  for (const id of [tokens[0].id, randomUUID(), 'nonsense', 'current']) {
    const refused = await remove(eve, id)
    t.equal(refused.statusCode, 404, id)
    t.match(refused.json(), { error: 'token_not_found' })
  }
  t.equal((await whose(second, app)).statusCode, 200)

  t.equal((await remove(ada, tokens[0].id)).statusCode, 204)
  for (const { app } of [one, two]) t.match(await whose(second, app), { error: 'token_revoked' }, 'at once, everywhere')
  t.equal((await remove(ada, tokens[0].id)).statusCode, 204, 'again is no fault')

  const byCookie = (headers: Record<string, string>) =>
    app.inject({ method: 'DELETE', url: `/api/tokens/${tokens[1].id}`, headers: { cookie: ada.cookie, ...headers } })
  t.equal((await byCookie({ origin: 'https://evil.example' })).statusCode, 403)
  t.equal((await byCookie({})).statusCode, 403)
  t.equal((await byCookie({ origin: 'http://localhost:3000' })).statusCode, 204)
  t.strictSame((await ada.get('/api/tokens')).json(), { tokens: [], next_cursor: null })
  t.equal((await app.inject({ url: '/api/tokens' })).statusCode, 401)
})

t.test('a token may do what it was approved for, and give itself up', async (t) => {
  const { app, person, admin } = await start(t)
  const [ada, root] = [await person(), await admin()]
  const everyday = bearer(app, await logIn(app, root))
  const administering = bearer(app, await logIn(app, root, { scope: 'admin' }))
  const pretending = bearer(app, await logIn(app, ada, { scope: 'account admin' }))
  const connecting = bearer(app, await logIn(app, ada, { scope: 'oauth' }))

  const outcome = async (who: typeof everyday, url: string) => {
    const { statusCode, body } = await who.get(url)
    return statusCode === 200 ? 200 : [statusCode, JSON.parse(body).error]
  }
  for (const url of ['/api/wallet', '/api/jobs', '/api/tokens', '/api/wallet/entries']) {
    t.equal(await outcome(everyday, url), 200)
    t.strictSame(await outcome(connecting, url), [403, 'insufficient_scope'])
    t.strictSame(await outcome(administering, url), [403, 'insufficient_scope'])
  }
  t.equal(await outcome(administering, '/api/admin/apps'), 200)
  t.strictSame(await outcome(everyday, '/api/admin/apps'), [403, 'insufficient_scope'])
  t.strictSame(await outcome(pretending, '/api/admin/apps'), [403, 'not_an_administrator'])
  t.match((await connecting.post('/api/jobs', { app: 'clips', action: 'x', cost_estimate: 0 })).json(), {
    error: 'insufficient_scope',
    scope: 'account',
  })
  const [other] = (await ada.get('/api/tokens')).json().tokens
  t.equal((await connecting.delete(`/api/tokens/${other.id}`)).statusCode, 403)
  t.equal((await connecting.delete('/api/tokens/current')).statusCode, 204)
  t.equal((await administering.delete('/api/tokens/current')).statusCode, 204)
  t.strictSame(await outcome(administering, '/api/admin/apps'), [401, 'token_revoked'])
})

t.test('no session comes from a token', async (t) => {
  const { app, person } = await start(t)
  const token = await logIn(app, await person(), { scope: 'account oauth admin' })
  for (const url of ['/api/sessionToken', '/api/sessionToken?template=x']) {
    const refused = await bearer(app, token).get(url)
    t.equal(refused.statusCode, 404)
    t.match(refused.json(), { error: 'token_not_available' })
  }
  const headers = { origin: 'http://localhost:3000' }
  const session = await app.inject({ method: 'POST', url: '/api/session', headers, payload: { token } })
  t.equal(session.statusCode, 401)
})

t.test("an administrator revokes all of somebody's tokens, fetched or not", async (t) => {
  const { app, db, person, admin } = await start(t)
  const [ada, eve, root] = [await person(), await person(), await admin()]
  const revoke = (clerk_id: string, who = root) => who.post('/api/admin/accounts/revoke-tokens', { clerk_id })
  const [first, second] = [await logIn(app, ada), await logIn(app, ada)]
  const others = await logIn(app, eve)
  const [unfetched, undecided] = [await startLogin(app), await startLogin(app)]
  await ada.postFromOurPage('/api/device/complete', { user_code: unfetched.user_code })

  const revoked = await revoke(ada.clerkId)
  t.equal(revoked.statusCode, 200)
  t.strictSame(revoked.json(), { revoked: 2 })
  for (const token of [first, second]) t.match(await whose(token, app), { error: 'token_revoked' })
  t.match((await unfetched.poll()).json(), { error: 'access_denied' })
  t.equal((await undecided.poll()).statusCode, 202)
  t.equal((await whose(others, app)).statusCode, 200)
  t.strictSame((await revoke(ada.clerkId)).json(), { revoked: 0 })
  t.match((await revoke('user_nobody')).json(), { error: 'account_not_found' })
  t.equal((await revoke(eve.clerkId, ada)).statusCode, 403)

  // A device that fetches its token at this very moment: the delivery is under way when the revocation begins.
  const racing = await startLogin(app)
  await ada.postFromOurPage('/api/device/complete', { user_code: racing.user_code })
  const delivery = db.transaction().execute(async (trx) => {
    const token = { id: randomUUID(), token_hash: randomUUID(), account_id: ada.id, name: 'racing', last_four: 'xxxx' }
    await sql`update device_codes set status = 'delivered' where user_code = ${racing.user_code}`.execute(trx)
    await trx
      .insertInto('tokens')
      .values({ ...token, scopes: ['account'], expires_at: new Date('2100-01-01') })
      .execute()
    let over = false
    const revocation = revoke(ada.clerkId).finally(() => {
      over = true
    })
    while (!over && !(await someoneWaits())) {}
    return { revocation }
  })
  t.strictSame((await (await delivery).revocation).json(), { revoked: 1 })
})

/** Whether a statement waits for a lock in the database of this file. */
async function someoneWaits(): Promise<boolean> {
  return (await query(await databaseUrl(), WAITING)).length > 0
}

t.test('tokens come in pages', async (t) => {
  const { app, person } = await start(t)
  const ada = await person()
  const ids = await giveTokens(app, ada, 230)
  const page = async (query: string) => (await ada.get(`/api/tokens?${query}`)).json()
  const idsOf = ({ tokens }: { tokens: { id: string }[] }) => tokens.map(({ id }) => id)
  t.strictSame(idsOf(await page('')), ids.slice(0, 100), 'a hundred: more than that are from before there was a limit')
  const walked: string[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const current = await page(`limit=90${cursor && `&cursor=${cursor}`}`)
    walked.push(...idsOf(current))
    cursor = current.next_cursor
  }
  t.strictSame(walked, ids)
  t.equal((await page('limit=200')).next_cursor, ids[199])
  for (const query of ['limit=0', 'limit=201', 'cursor=x']) t.equal((await page(query)).error, 'invalid_request', query)

  const account = (url: string) => app.inject({ url, headers: { cookie: ada.cookie } })
  const { body } = await account('/account')
  t.equal(body.match(/data-token=/g)?.length, 100)
  t.match(body, `href="/account?tokens_before=${ids[99]}#tokens"`)
  t.match((await account(`/account?tokens_before=${ids[199]}`)).body, `data-token="${ids[200]}"`)
})

t.test("the local identity's tokens and sessions end where Clerk takes over the database", async (t) => {
  const local = await start(t)
  const ada = await local.person()
  const token = await logIn(local.app, ada)
  const clerk = await startClerk(t)
  const { app } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey })
  for (let again = 0; again < 2; again++) {
    t.match(await whose(token, app), { statusCode: 401, error: 'token_revoked' })
    t.equal((await app.inject({ url: '/api/wallet', headers: { cookie: ada.cookie } })).statusCode, 401)
  }
  t.equal((await whose(token, local.app)).statusCode, 200, 'and only there')

  // Nor does a login that was approved before.
  const login = await startLogin(local.app)
  await ada.postFromOurPage('/api/device/complete', { user_code: login.user_code })
  t.equal((await whose((await login.poll(app)).json().token, app)).statusCode, 401)
})
