import { sql } from 'kysely'
import t from 'tap'
import { derivePat, hashOf } from '../../src/access/tokens.ts'
import { operations } from '../support/document.ts'
import { type App, type Person, personWith, start, unique } from '../support/start.ts'

type Call = [method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, body?: object]

/** A request of each operation that changes something, and what its line says beside who did it. A new operation needs one. */
async function changes(app: App, operator: Person): Promise<Record<string, [call: Call, line: object]>> {
  const slug = unique('app')
  await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 1 })
  const [ada, bob, eve] = await Promise.all([personWith(app, 20), personWith(app, 5), personWith(app, 5)])
  const [done, stuck] = [(await ada.reserve(5)).json().job_id, (await ada.reserve(4)).json().job_id]
  await ada.complete(done, 3)
  const hook = { url: 'https://hooks.example.com/a', events: ['job.completed'] }
  const endpoint = async () => (await operator.post(`/api/admin/apps/${slug}/webhooks`, hook)).json().endpoint.id
  const [changed, rotated, tested, removed, replayed, dismissed] = await Promise.all(
    Array.from({ length: 6 }, endpoint),
  )
  for (const endpoint_id of [replayed, dismissed]) {
    const dead = { account_id: ada.id, endpoint_id, event: 'job.failed', payload: '{}', status: 'dead' as const }
    await app.db.insertInto('webhook_messages').values(dead).execute()
  }
  const key = { name: 'Payment server', scopes: ['topup'] }
  const { id: oldKey } = (await operator.post('/api/admin/keys', key)).json().key
  const [pack, gone] = [unique('pack'), unique('pack')]
  const terms = { name: 'Ten', credits: 10, price: 100, currency: 'usd' }
  await operator.put(`/api/admin/packs/${gone}`, terms)
  const [token, grant] = [(await adminToken(app, bob)).id, crypto.randomUUID()]
  await app.db
    .insertInto('grants')
    .values({ id: grant, account_id: bob.id, client_id: slug, scopes: ['account'] })
    .execute()
  const [reason, reference] = ['ticket 17', unique('payment')]
  const of = ({ id }: Person) => ({ account_id: id, target: `account ${id}` })
  const webhook = (id: string) => ({ target: `webhook ${id}`, account_id: null })
  return {
    setApp: [
      ['PUT', `/api/admin/apps/${slug}`, { starter_credits: 7, settle_key: 'rotate' }],
      {
        target: `app ${slug}`,
        before: { starter_credits: 1, has_settle_key: false },
        after: { starter_credits: 7, has_settle_key: true, settle_key: 'rotate' },
      },
    ],
    adjustCredits: [
      ['POST', '/api/admin/credits', { clerk_id: ada.clerkId, amount: 10, kind: 'topup', reference, reason }],
      {
        ...of(ada),
        reason,
        before: { credits: 13, held: 4 },
        after: { credits: 23, held: 4, amount: 10, kind: 'topup', reference },
      },
    ],
    refundJob: [
      ['POST', `/api/admin/jobs/${done}/refund`, { account_id: ada.id, amount: 2, reason }],
      {
        ...{ target: `job ${done}`, account_id: ada.id, reason, before: { credits: 23, held: 4 } },
        after: { credits: 25, held: 4, amount: 2, refunded: 2 },
      },
    ],
    endJob: [
      ['POST', `/api/admin/jobs/${stuck}/end`, { account_id: ada.id, reason }],
      {
        ...{ target: `job ${stuck}`, account_id: ada.id, reason },
        before: { credits: 25, held: 4, status: 'started', reserved: 4 },
        after: { credits: 29, held: 0, status: 'failed', actual_cost: 0 },
      },
    ],
    revokeAccountTokens: [
      ['POST', '/api/admin/accounts/revoke-tokens', { clerk_id: ada.clerkId, reason }],
      { ...of(ada), reason, after: { revoked: 0 } },
    ],
    revokeTokenOfAccount: [
      ['DELETE', `/api/admin/accounts/${bob.id}/tokens/${token}`],
      { target: `token ${token}`, account_id: bob.id, before: { revoked_at: null }, after: { revoked: true } },
    ],
    revokeGrantOfAccount: [
      ['DELETE', `/api/admin/accounts/${bob.id}/grants/${grant}`],
      { target: `grant ${grant}`, account_id: bob.id, before: { client_id: slug }, after: { revoked: true } },
    ],
    closeAccount: [
      ['POST', '/api/admin/accounts/close', { clerk_id: bob.clerkId, reason }],
      {
        ...of(bob),
        reason,
        before: { credits: 5, held: 0, closed: false },
        after: { credits: 5, held: 0, closed: true },
      },
    ],
    eraseAccount: [
      ['POST', '/api/admin/accounts/erase', { clerk_id: eve.clerkId, reason }],
      { ...of(eve), reason, after: { erased: true } },
    ],
    setPack: [['PUT', `/api/admin/packs/${pack}`, terms], { target: `pack ${pack}`, before: null, after: terms }],
    removePack: [['DELETE', `/api/admin/packs/${gone}`], { target: `pack ${gone}`, before: terms, after: null }],
    createServiceKey: [['POST', '/api/admin/keys', key], { target: /^service key /, after: key }],
    revokeServiceKey: [['DELETE', `/api/admin/keys/${oldKey}`], { target: `service key ${oldKey}`, before: key }],
    createWebhookEndpoint: [
      ['POST', `/api/admin/apps/${slug}/webhooks`, hook],
      { target: /^webhook /, account_id: null, before: null, after: { app: slug, ...hook } },
    ],
    updateWebhookEndpoint: [
      ['PATCH', `/api/admin/webhooks/${changed}`, { paused: true }],
      {
        ...webhook(changed),
        before: { paused: false, pause_reason: null },
        after: { paused: true, pause_reason: 'operator' },
      },
    ],
    rotateWebhookSecret: [['POST', `/api/admin/webhooks/${rotated}/rotate`], webhook(rotated)],
    sendTestWebhook: [['POST', `/api/admin/webhooks/${tested}/test`], webhook(tested)],
    deleteWebhookEndpoint: [
      ['DELETE', `/api/admin/webhooks/${removed}`],
      { ...webhook(removed), before: { app: slug, ...hook }, after: null },
    ],
    replayWebhookMessages: [
      ['POST', '/api/admin/webhooks/replay', { endpoint_id: replayed }],
      { ...webhook(replayed), after: { messages: 1 } },
    ],
    dismissDeadWebhookMessages: [
      ['POST', '/api/admin/webhooks/dismiss', { endpoint_id: dismissed }],
      { ...webhook(dismissed), after: { messages: 1 } },
    ],
  }
}

/** A personal access token of scope admin. */
async function adminToken({ db }: App, { id: account_id }: Person): Promise<{ id: string; token: string }> {
  const id = crypto.randomUUID()
  const token = derivePat('a test', id, 'code')
  const expires_at = new Date(Date.now() + 3_600_000)
  await db
    .insertInto('tokens')
    .values({
      ...{ id, account_id, expires_at, name: 'test', last_four: token.slice(-4), scopes: ['account', 'admin'] },
      token_hash: hashOf(token),
    })
    .execute()
  return { id, token }
}

const lines = async (operator: Person, query: string) => {
  const reply = await operator.get(`/api/admin/audit?${query}`)
  if (reply.statusCode !== 200) throw new Error(reply.body)
  return reply.json().actions
}

t.test('every operation of an administrator that changes something has its line in the audit log, once', async (t) => {
  const { app, admin } = await start(t)
  const operator = await admin()
  const calls = await changes(app, operator)
  const changing = operations.filter(({ path, method }) => path.startsWith('/api/admin/') && method !== 'GET')
  t.strictSame(
    Object.keys(calls).toSorted(),
    changing.map(({ operation }) => operation.operationId ?? '').toSorted(),
    'a new operation needs its line, and a request here',
  )
  const pat = await adminToken(app, operator)
  for (const [action, [[method, url, payload], line]] of Object.entries(calls)) {
    const known = (await lines(operator, `action=${action}`)).length
    const send = () =>
      app.inject({
        ...{ method, url, ...(payload && { payload }) },
        headers: { authorization: `Bearer ${pat.token}`, 'user-agent': 'focus-cli' },
      })
    const reply = await send()
    t.ok(reply.statusCode < 300, `${action}: ${reply.body}`)
    const [found, ...others] = await lines(operator, `action=${action}`)
    t.equal(others.length, known, action)
    const administrator = { id: operator.id, clerk_id: operator.clerkId }
    t.match(found, { action, administrator, via: 'cli', token_id: pat.id, ...line }, action)
    t.notMatch(JSON.stringify(found), /whsec_|focus_(app|key|pat)_|hash/, `${action} shows no secret`)
    if (/^(adjust|refund|end|close|erase|revoke.*OfAccount)/.test(action)) {
      t.ok((await send()).statusCode < 300, `${action} again`)
      t.equal((await lines(operator, `action=${action}`)).length, known + 1, `${action} again changes nothing`)
    }
  }
})

t.test('the audit log is listed by account, administrator and target, page by page', async (t) => {
  const { app, admin } = await start(t)
  const operator = await admin()
  const ada = await personWith(app, 10)
  const slug = unique('app')
  for (const starter_credits of [1, 2, 3]) await operator.put(`/api/admin/apps/${slug}`, { starter_credits })
  await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 3 })
  const states = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const reply = await operator.get(`/api/admin/audit?target=app%20${slug}&limit=2${cursor && `&cursor=${cursor}`}`)
    const { actions, next_cursor } = reply.json()
    states.push(...actions.map(({ after }: { after: object }) => after))
    cursor = next_cursor
  }
  t.match(states, [{ starter_credits: 3 }, { starter_credits: 2 }, { starter_credits: 1 }])
  t.equal(states.length, 3, 'what changes nothing has no line')
  t.match(await lines(operator, `account_id=${ada.id}`), [{ action: 'adjustCredits', via: 'api', token_id: null }])
  t.strictSame(await lines(operator, `administrator=${ada.id}`), [])
  t.equal((await lines(operator, `administrator=${operator.id}&limit=3`)).length, 3)
  const today = new Date().toISOString().slice(0, 10)
  const between = (period: string) => lines(operator, `target=app%20${slug}&${period}`)
  t.equal((await between(`from=${today}`)).length, 3)
  for (const period of ['to=2020-01-01', `to=${today}`, 'from=2100-01-01'])
    t.strictSame(await between(period), [], period)
})

t.test('a refused change has no line, and a line cannot be changed', async (t) => {
  const { app, db, admin } = await start(t)
  const operator = await admin()
  const ada = await personWith(app, 10)
  const body = { clerk_id: ada.clerkId, amount: -11, kind: 'adjustment', reference: unique('r'), reason: 'too much' }
  t.equal((await operator.post('/api/admin/credits', body)).statusCode, 409)
  t.equal(
    (await operator.post(`/api/admin/jobs/${crypto.randomUUID()}/end`, { account_id: ada.id, reason: 'x' })).statusCode,
    404,
  )
  t.equal((await lines(operator, `account_id=${ada.id}`)).length, 1)
  for (const statement of [
    'update admin_actions set reason = null',
    'delete from admin_actions',
    'truncate admin_actions',
  ])
    await t.rejects(sql.raw(statement).execute(db), { code: '23001' }, statement)
})

t.test('the log names an erased administrator by account only', async (t) => {
  const { app, admin, person } = await start(t, { ADMIN_CLERK_IDS: 'user_2abc' })
  const operator = await admin()
  const gone = await person()
  // Somebody who was an administrator before.
  const row = { account_id: gone.id, actor_id: gone.id, via: 'api' as const, action: 'setApp', concerns_account: false }
  await app.db
    .insertInto('admin_actions')
    .values({ ...row, id: crypto.randomUUID() })
    .execute()
  const named = async () => (await lines(operator, `administrator=${gone.id}`))[0].administrator
  t.strictSame(await named(), { id: gone.id, clerk_id: gone.clerkId })
  await operator.post('/api/admin/accounts/erase', { clerk_id: gone.clerkId })
  t.strictSame(await named(), { id: gone.id, clerk_id: 'erased' })
})

t.test('an administrator ends a stuck job, also of an app with a settle key', async (t) => {
  const { app, admin } = await start(t)
  const operator = await admin()
  const ada = await personWith(app, 10)
  const slug = unique('keyed')
  await operator.put(`/api/admin/apps/${slug}`, { settle_key: 'rotate' })
  const reserve = async () =>
    (await ada.post('/api/jobs', { app: slug, action: 'a', cost_estimate: 3 })).json().job_id as string
  const [back, kept] = [await reserve(), await reserve()]
  const end = (id: string, body: object) =>
    operator.post(`/api/admin/jobs/${id}/end`, { account_id: ada.id, reason: 'The worker is gone', ...body })
  const first = await end(back, {})
  t.match(first.json(), {
    account: { credits: 7, held: 3 },
    job: { id: back, status: 'failed', actual_cost: 0, failure_reason: 'ended_by_operator' },
  })
  t.match((await end(kept, { refund: false })).json(), {
    account: { credits: 7, held: 0 },
    job: { status: 'failed', actual_cost: 3, failure_reason: 'ended_by_operator' },
  })
  t.strictSame((await end(back, {})).json(), { ...first.json(), account: { ...first.json().account, held: 0 } })
  t.match((await end(back, { refund: false })).json(), { error: 'job_already_ended' })
  t.equal((await operator.post(`/api/admin/jobs/${back}/end`, { account_id: ada.id })).statusCode, 400, 'why')
  t.equal((await ada.post(`/api/admin/jobs/${back}/end`, { account_id: ada.id, reason: 'x' })).statusCode, 403)
})
