import type { LightMyRequestResponse } from 'fastify'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { closeAccount } from '../../src/accounts/close.ts'
import { limit } from '../../src/ledger/operations.ts'
import { type App, earlier, type Person, personWith, start, unique } from '../support/start.ts'

const CONNECTIONS = { DATABASE_POOL_SIZE: '10' }

/** The same person at two instances of the service on one database. */
async function twice(t: Test, credits: number) {
  const [one, two] = await Promise.all([start(t, CONNECTIONS), start(t, CONNECTIONS)])
  const ada = credits > 0 ? await personWith(one.app, credits) : await one.person()
  const apps = [one.app, two.app]
  const send = (turn: number, method: 'GET' | 'POST', url: string, payload?: object, headers: object = {}) =>
    at(apps[turn % 2] ?? one.app, ada, method, url, payload, headers)
  return { ...one, ada, send }
}

/**
 * On a busy machine so many requests at once may meet a time-out: 503, outcome unknown, "try again". So they do, and
 * must not move anything twice by it.
 */
async function at(
  app: App,
  { authorization }: Person,
  method: 'GET' | 'POST',
  url: string,
  payload?: object,
  headers: object = {},
): Promise<LightMyRequestResponse> {
  const request = { method, url, headers: { authorization, ...headers }, ...(payload && { payload }) }
  for (let attempt = 1; ; attempt++) {
    const reply = await app.inject(request)
    if (reply.statusCode !== 503 || attempt === 10) return reply
  }
}

/** Does it so often at once */
const all = <T>(count: number, task: (turn: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, turn) => task(turn)))

/** How many replies have each status */
const tally = (replies: LightMyRequestResponse[]) => {
  const counts: Record<number, number> = {}
  for (const { statusCode } of replies) counts[statusCode] = (counts[statusCode] ?? 0) + 1
  return counts
}

const job = (cost_estimate: number) => ({ app: 'clips', action: 'render', cost_estimate })
const kindsOf = async (somebody: Person): Promise<string[]> => {
  const { entries } = (await somebody.get('/api/wallet/entries?limit=200')).json()
  return entries.map(({ kind }: { kind: string }) => kind).sort()
}

t.test('of 200 jobs for 50 credits, exactly 50 start', async (t) => {
  const { ada, send } = await twice(t, 50)
  const replies = await all(200, (turn) => {
    return send(turn, 'POST', '/api/jobs', job(1), { 'idempotency-key': `turn ${turn}` })
  })
  t.strictSame(tally(replies), { 200: 50, 402: 150 })
  t.strictSame(await ada.balance(), { credits: 0, held: 50 })
  t.equal((await ada.get('/api/jobs?limit=200')).json().jobs.length, 50)
})

t.test('100 equal completions give one refund', async (t) => {
  const { ada, send } = await twice(t, 10)
  const { job_id } = (await ada.reserve(10)).json()
  const body = { job_id, actual_cost: 4, metadata: { done: true } }
  const replies = await all(100, (turn) => send(turn, 'POST', '/api/jobs/complete', body))
  t.strictSame(tally(replies), { 200: 100 })
  for (const reply of replies) t.match(reply.json(), { job: { actual_cost: 4 }, credits: 6, held: 0 })
  t.strictSame(await kindsOf(ada), ['admin_grant', 'job_refund', 'job_reserve'])
})

t.test('100 equal failures release the hold once', async (t) => {
  const { ada, send } = await twice(t, 10)
  const { job_id } = (await ada.reserve(10)).json()
  t.strictSame(tally(await all(100, (turn) => send(turn, 'POST', '/api/jobs/fail', { job_id }))), { 200: 100 })
  t.strictSame(await kindsOf(ada), ['admin_grant', 'job_release', 'job_reserve'])
})

t.test('of completions and failures of one job, one wins', async (t) => {
  const { ada, send } = await twice(t, 10)
  const { job_id } = (await ada.reserve(10)).json()
  const endings = [
    { url: '/api/jobs/complete', body: { job_id, actual_cost: 3 } },
    { url: '/api/jobs/complete', body: { job_id, actual_cost: 15 } },
    { url: '/api/jobs/fail', body: { job_id, refund: true } },
    { url: '/api/jobs/fail', body: { job_id, refund: false } },
  ]
  const replies = await all(100, async (turn) => {
    // Of both instances, each ending asks 12 or 13 times.
    const ending = endings[Math.floor(turn / 2) % endings.length]
    const reply = await send(turn, 'POST', ending?.url ?? '', ending?.body)
    return { ending, reply }
  })
  const winners = new Set(replies.filter(({ reply }) => reply.statusCode === 200).map(({ ending }) => ending))
  t.equal(winners.size, 1)
  for (const { ending, reply } of replies) t.equal(reply.statusCode, winners.has(ending) ? 200 : 409)
  t.ok((await kindsOf(ada)).length <= 3)
})

t.test('one key, sent 100 times, starts one job', async (t) => {
  const { ada, send } = await twice(t, 10)
  const headers = { 'idempotency-key': unique('key') }
  const replies = await all(100, (turn) => send(turn, 'POST', '/api/jobs', job(10), headers))
  t.strictSame(tally(replies), { 200: 100 })
  t.equal(new Set(replies.map((reply) => reply.json().job_id)).size, 1)
  t.ok(replies.filter((reply) => !('idempotency-replayed' in reply.headers)).length <= 1, 'all others are replays')
  t.strictSame(await ada.balance(), { credits: 0, held: 10 })
})

t.test('one key with two bodies starts one job, and the other body is refused', async (t) => {
  const { ada, send } = await twice(t, 100)
  const headers = { 'idempotency-key': unique('key') }
  const replies = await all(60, (turn) => send(turn, 'POST', '/api/jobs', job(turn % 3 ? 1 : 2), headers))
  const { reserved } = (await ada.get('/api/jobs')).json().jobs[0]
  t.strictSame(tally(replies), reserved === 1 ? { 200: 40, 422: 20 } : { 200: 20, 422: 40 })
  t.equal((await ada.balance()).held, reserved)
})

t.test('60 first visits grant once', async (t) => {
  const { ada, db, send } = await twice(t, 0)
  await db.deleteFrom('accounts').where('id', '=', ada.id).execute()
  const replies = await all(60, (turn) => send(turn, 'GET', '/api/wallet?app=video'))
  t.strictSame(tally(replies), { 200: 60 })
  for (const reply of replies) t.match(reply.json(), { account: { credits: 20 }, app_grant: { granted: true } })
  t.strictSame(await kindsOf(ada), ['starter_grant'])
})

t.test('visits with 80 unregistered apps at once leave 50', async (t) => {
  const { ada, db, send } = await twice(t, 0)
  const replies = await all(80, (turn) => send(turn, 'GET', `/api/wallet?app=slug-${turn}`))
  t.strictSame(tally(replies), { 200: 80 })
  const { rows } = await sql`select from app_grants where account_id = ${ada.id}`.execute(db)
  t.equal(rows.length, 50)
})

t.test('a gift sent 50 times is given once', async (t) => {
  const { ada, admin, app } = await twice(t, 0)
  const second = await start(t, CONNECTIONS)
  const operator = await admin()
  const wish = { clerk_id: ada.clerkId, amount: 5, kind: 'topup', reference: unique('payment'), reason: 'bought' }
  const replies = await all(50, (turn) => at(turn % 2 ? app : second.app, operator, 'POST', '/api/admin/credits', wish))
  t.strictSame(tally(replies), { 200: 50 })
  t.equal(new Set(replies.map((reply) => reply.json().entry.seq)).size, 1)
  t.strictSame(await ada.balance(), { credits: 5, held: 0 })
})

t.test('many jobs of one account are settled in any order without a deadlock', async (t) => {
  const { ada, admin, app, send } = await twice(t, 500)
  const ids: string[] = []
  const key = (name: string, turn: number) => ({ 'idempotency-key': `${name} ${turn}` })
  for (const reply of await all(40, (turn) => send(turn, 'POST', '/api/jobs', job(5), key('first', turn)))) {
    ids.push(reply.json().job_id)
  }
  const operator = await admin()
  const replies = await Promise.all([
    ...ids.map((job_id, turn) => send(turn, 'POST', '/api/jobs/complete', { job_id, actual_cost: 1 })),
    ...ids.toReversed().map((job_id, turn) => send(turn, 'POST', '/api/jobs/complete', { job_id, actual_cost: 1 })),
    ...ids.map((_, turn) => send(turn, 'POST', '/api/jobs', job(2), key('second', turn))),
    ...ids.map((_, turn) => send(turn, 'GET', '/api/wallet?app=video')),
    ...ids.map((_, turn) => {
      const wish = { clerk_id: ada.clerkId, amount: -1, kind: 'adjustment', reference: `fee-${turn}`, reason: 'fee' }
      return at(app, operator, 'POST', '/api/admin/credits', wish)
    }),
  ])
  t.strictSame(tally(replies), { 200: 200 })
  t.strictSame(await ada.balance(), { credits: 500 - 40 - 80 + 20 - 40, held: 80 })
})

/** A token of somebody, with a budget, made by them or by another token. */
async function tokenOf(
  app: App,
  ada: Person,
  body: object,
  by?: string,
): Promise<{ id: string; authorization: string }> {
  const headers = by ? { authorization: by } : { cookie: ada.cookie, origin: app.config.publicUrl }
  const reply = await app.inject({ method: 'POST', url: '/api/tokens', headers, payload: { name: 'a race', ...body } })
  const { id, token } = reply.json()
  return { id, authorization: `Bearer ${token}` }
}
const spentOf = async (ada: Person, id: string) =>
  (await ada.get('/api/tokens')).json().tokens.find((token: { id: string }) => token.id === id)?.spent

t.test('of 200 jobs through two tokens on a budget of 50, exactly 50 start', async (t) => {
  const { ada, app, send } = await twice(t, 1_000)
  const parent = await tokenOf(app, ada, { budget: 50 })
  const child = await tokenOf(app, ada, { budget: 50 }, parent.authorization)
  const replies = await all(200, (turn) => {
    const { authorization } = turn % 4 < 2 ? parent : child
    return send(turn, 'POST', '/api/jobs', job(1), { authorization, 'idempotency-key': `turn ${turn}` })
  })
  t.strictSame(tally(replies), { 200: 50, 403: 150 })
  t.equal(await spentOf(ada, parent.id), 50)
  t.strictSame(await ada.balance(), { credits: 950, held: 50 })
  const started = replies.filter(({ statusCode }) => statusCode === 200).map((reply) => reply.json().job_id)
  await all(50, (turn) => send(turn, 'POST', '/api/jobs/complete', { job_id: started[turn], actual_cost: turn % 3 }))
  t.equal(await spentOf(ada, parent.id), 49, '16 × (0 + 1 + 2) + 0 + 1')
})

t.test('a budget that begins anew in the middle starts as many again, and no more', async (t) => {
  const { ada, app, db, send } = await twice(t, 1_000)
  const { id, authorization } = await tokenOf(app, ada, { budget: 20, period: 'day' })
  const reserve = (turn: number) =>
    send(turn, 'POST', '/api/jobs', job(1), { authorization, 'idempotency-key': `turn ${turn}` })
  t.equal((await reserve(999)).statusCode, 200)
  const midnight = db.transaction().execute(async (trx) => {
    await sql`select id from accounts where id = ${ada.id} for no key update`.execute(trx)
    for (const [table, column] of [
      ['jobs', 'created_at'],
      ['budgets', 'period_start'],
    ] as const)
      await sql`update ${sql.table(table)} set ${sql.ref(column)} = ${earlier(column, '1 day')}
        where account_id = ${ada.id}`.execute(trx)
  })
  const replies = await all(120, reserve)
  await midnight
  const after = await all(40, (turn) => reserve(1_000 + turn))
  const started = [...replies, ...after].filter(({ statusCode }) => statusCode === 200).length
  t.ok(started >= 20 && started <= 39, `${started} of 19 and 20`)
  t.equal(await spentOf(ada, id), 20)
})

t.test('a budget that is lowered beside reserves and endings stays exact', async (t) => {
  const { ada, app, send } = await twice(t, 1_000)
  const { id, authorization } = await tokenOf(app, ada, { budget: 40 })
  const replies = await Promise.all([
    ...Array.from({ length: 60 }, (_, turn) =>
      send(turn, 'POST', '/api/jobs', job(1), { authorization, 'idempotency-key': `turn ${turn}` }),
    ),
    limit(app.ledger, ada.id, id, { amount: 5 }),
  ])
  const jobs = replies.flatMap((reply) => (reply?.statusCode === 200 ? [reply.json().job_id] : []))
  t.ok(jobs.length >= 5 && jobs.length <= 40)
  t.equal(await spentOf(ada, id), jobs.length)
  await app.inject({ method: 'DELETE', url: '/api/tokens/current', headers: { authorization } })
  await all(jobs.length, (turn) => send(turn, 'POST', '/api/jobs/complete', { job_id: jobs[turn], actual_cost: 0 }))
  t.strictSame(await ada.balance(), { credits: 1_000, held: 0 }, 'holds of a revoked token settle')
})

t.test('closing ends every hold of hundreds, though some end beside it', async (t) => {
  const { ada, app, db, send } = await twice(t, 1_000)
  const started = await all(230, (turn) => {
    return send(turn, 'POST', '/api/jobs', job(1), { 'idempotency-key': `hold ${turn}` })
  })
  const ids = started.map((reply) => reply.json().job_id as string).sort()
  // One batch: of the first 200 holds, which closing reads, one has ended when it is applied.
  const ending = app.ledger.post({
    ...{ type: 'fail', account_id: ada.id, job_id: ids[0] ?? '', key_of: null, refund: true, metadata: null },
  })
  await Promise.all([ending, closeAccount(db, app.ledger, ada.id, ada.clerkId)])
  const { held } = await db.selectFrom('accounts').select('held').where('id', '=', ada.id).executeTakeFirstOrThrow()
  t.equal(held, 0)
})
