import t from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import { gatherTotals } from '../../src/operator/totals.ts'
import { ACTION_WORDS, KINDS } from '../../src/routes/pages/console/audit-rows.ts'
import { durationText } from '../../src/routes/pages/console/cells.ts'
import { atConsole } from '../support/console.ts'
import { OURS } from '../support/pages.ts'
import { type App, earlier, unique } from '../support/start.ts'

/** What pages of the console show of what is stored, and how they answer an address that is wrong. */

const plain = (html: string) =>
  html
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
/** The words of each row of a page's tables. */
const rowsOf = (body: string) => [...body.matchAll(/<tr role="row"><td[\s\S]*?<\/tr>/g)].map(([row]) => plain(row))
/** The words of a fact by its name. */
const factOf = (body: string, name: string) =>
  plain(new RegExp(`<dt>${name}</dt><dd>([\\s\\S]*?)</dd>`).exec(body)?.[1] ?? '')
/** Lets the hold of a job expire. */
async function expire(app: App, job_id: string) {
  const expires_at = earlier('expires_at', '2 days')
  await app.db.updateTable('jobs').set({ expires_at }).where('id', '=', job_id).execute()
  await sweepHolds(app.db, app.ledger)
}
const EXACT = /\d{1,2} [A-Z][a-z]{2} \d{4}, \d\d:\d\d:\d\d\sUTC/

t.test(
  'a token is shown with its budget, what is spent and left of it, when it begins anew, and its apps',
  async (t) => {
    const { app, open, personWith } = await atConsole(t)
    const bob = await personWith(50)
    const fields = { account: bob.id, name: 'render server', budget: '30', period: 'day', apps: 'video clips' }
    const made = await app.inject({
      method: 'POST',
      url: '/account/tokens/new',
      payload: new URLSearchParams(fields).toString(),
      headers: { cookie: bob.cookie, origin: OURS, 'content-type': 'application/x-www-form-urlencoded' },
    })
    const [token] = /focus_pat_\w+/.exec(made.body) ?? []
    const job = { app: 'video', action: 'render', cost_estimate: 12 }
    const headers = { authorization: `Bearer ${token}` }
    t.equal((await app.inject({ method: 'POST', url: '/api/jobs', headers, payload: job })).statusCode, 200)
    const { body } = await open(`/console/accounts/${bob.id}`)
    const row = rowsOf(body).find((words) => words.startsWith('render server'))
    t.match(row, /30 credits a day 12 spent, 18 left; begins anew .*00:00 UTC; at video, clips/)
  },
)

t.test('times are exact to the second: to who points at one, and beside it where it matters', async (t) => {
  const { open, personWith, admin } = await atConsole(t)
  const bob = await personWith(9)
  const { job_id } = (await bob.reserve(4)).json()
  await admin.put(`/api/admin/apps/${unique('app')}`, {})
  const at = `/console/accounts/${bob.id}`
  for (const url of ['/console/audit', `${at}/entries`, at, `${at}/jobs/${job_id}`]) {
    const { body } = await open(url)
    for (const [, title = ''] of body.matchAll(/<time [^>]*title="([^"]*)"/g)) t.match(title, EXACT, url)
    t.match(rowsOf(body)[0], EXACT, url)
  }
  const { body } = await open(`${at}/jobs/${job_id}`)
  for (const name of ['Started', 'Hold ends']) t.match(factOf(body, name), EXACT, name)
})

t.test('the lists of holds say when they end, and expired jobs have a filter', async (t) => {
  const { open, personWith, admin, app } = await atConsole(t)
  const slug = unique('app')
  await admin.put(`/api/admin/apps/${slug}`, {})
  const bob = await personWith(20)
  const start = async (action: string) =>
    (await bob.post('/api/jobs', { app: slug, action, cost_estimate: 2 })).json().job_id as string
  const [failed, expired] = [await start('failed work'), await start('expired work')]
  await start('running work')
  await bob.fail(failed)
  await expire(app, expired)
  const listed = async (show: string) => (await open(`/console/jobs?app=${slug}&show=${show}`)).body
  const started = await listed('started')
  t.match(started, /<th [^>]*>Hold ends<\/th>/)
  t.match(started, /data-label="Hold ends"[^>]*><div>\s*<time[^>]*>in /)
  t.strictSame(
    rowsOf(await listed('expired')).map((row) => /(\w+) work/.exec(row)?.[1]),
    ['expired'],
  )
  t.strictSame(rowsOf(await listed('failed')).length, 2, 'those that expired have failed')
  t.match(await listed('failed'), 'Failed or expired')
})

t.test('where the balance has changed since, the numbers are shown anew before credits move', async (t) => {
  const { ask, open, send, personWith, admin } = await atConsole(t)
  const bob = await personWith(13)
  const { job_id } = (await bob.reserve(3)).json()
  await bob.complete(job_id, 3)
  const at = `/console/accounts/${bob.id}`
  const [give, refund] = [
    await ask(`${at}/credits`, { what: 'admin_grant', amount: '5' }),
    await ask(`${at}/jobs/${job_id}/refund`, { amount: '1' }),
  ]
  t.match(give.effects, /10 → 15 credits/)
  const reason = 'a colleague'
  await admin.post('/api/admin/credits', {
    ...{ clerk_id: bob.clerkId, amount: 5, kind: 'admin_grant', reference: unique('ref'), reason },
  })
  for (const [form, numbers] of [
    [give, /15 → 20 credits/],
    [refund, /15 → 16 credits/],
  ] as const) {
    const again = await form.press({ reason: 'Ticket 9' })
    t.match([again.statusCode, again.body], [409, /have changed since[\s\S]*Nothing was done yet/])
    t.match(again.body, numbers)
    t.match(again.body, /value="Ticket 9"/, 'the reason is kept')
    t.match(await bob.balance(), { credits: 15 })
  }
  const [, draft = ''] = /name="draft" value="([^"]+)"/.exec((await give.press({ reason: 'Ticket 9' })).body) ?? []
  t.match((await open(`/console/change?draft=${draft}`)).statusCode, 200, 'the numbers are right now')
  const press = () => send('/console/change', { draft, reason: 'Ticket 9' })
  t.equal((await press()).statusCode, 303)
  t.match(await bob.balance(), { credits: 20 })
  t.equal((await press()).statusCode, 303)
  t.match(await bob.balance(), { credits: 20 }, 'once')
})

t.test('a job says who refunded or ended it and why, in words, with the lines of the audit log', async (t) => {
  const { ask, post, open, personWith, admin, app } = await atConsole(t)
  const bob = await personWith(50)
  const start = async (cost: number) => (await bob.reserve(cost)).json().job_id as string
  const [refunded, ended, expired] = [await start(12), await start(3), await start(3)]
  await bob.complete(refunded, 12)
  const at = (job: string) => `/console/accounts/${bob.id}/jobs/${job}`
  const most = async (amount: string) => plain((await post(`${at(refunded)}/refund`, { amount })).body)
  t.match(await most('13'), /Credits must be at most 12: the job cost no more\./)
  await (await ask(`${at(refunded)}/refund`, { amount: '5' })).done({ reason: 'The render was black' })
  t.match(await most('13'), /Credits must be at most 7: of the 12 that it cost, 5 have been given back\./)
  await (await ask(`${at(ended)}/end`, { hold: 'return' })).done({ reason: 'The worker died' })
  await expire(app, expired)

  const page = async (job: string) => (await open(at(job))).body
  const [one, two] = [await page(refunded), await page(ended)]
  t.match(factOf(one, 'Refunded by'), new RegExp(`${admin.email} .*“The render was black”`))
  t.match(factOf(two, 'Ended by'), new RegExp(`${admin.email} .*“The worker died”`))
  t.equal(factOf(two, 'State'), 'Failed ended by an administrator')
  t.match(factOf(await page(expired), 'State'), /^Expired the hold ended before the app settled the job$/)
  const [, line = ''] = /<dt>Ended by<[\s\S]*?href="([^"]*)"/.exec(two) ?? []
  t.match(rowsOf((await open(line.replaceAll('&amp;', '&'))).body), [/Job ended .*The worker died/])
  t.notMatch(rowsOf((await open(`/console/accounts/${bob.id}/jobs`)).body).join(), /ended_by_operator|expired expired/i)
})

t.test('a person has one name on every page, and a purchase has a price', async (t) => {
  const { ask, open, person, admin, db } = await atConsole(t)
  const bob = await person()
  await admin.put('/api/admin/packs/shown', { name: 'Ten', credits: 10, price: 500, currency: 'usd' })
  await bob.post('/api/purchases', { pack: 'shown' })
  const purchases = (await open('/console/purchases')).body
  t.match(purchases, /<th [^>]*>Price<\/th>/)
  t.match(rowsOf(purchases)[0], new RegExp(`\\$5\\.00 Not paid .*${bob.email}$`))

  const slug = unique('app')
  await admin.put(`/api/admin/apps/${slug}`, {})
  const hook = { url: 'https://hooks.example.com/x', events: ['job.failed'] }
  const { endpoint } = (await admin.post(`/api/admin/apps/${slug}/webhooks`, hook)).json()
  const message = { account_id: bob.id, endpoint_id: endpoint.id, event: 'job.failed' }
  await db
    .insertInto('webhook_messages')
    .values({ ...message, payload: '{}', status: 'dead' })
    .execute()
  await db
    .insertInto('webhook_attempts')
    .values({ ...message, id: uuidv7(), message_id: uuidv7(), attempt: 1, ms: 5, status: 500 })
    .execute()
  const deliveries = rowsOf((await open(`/console/webhooks/${endpoint.id}`)).body)
  t.equal(deliveries.filter((row) => row.includes(bob.email)).length, 2)
  await db.deleteFrom('webhook_messages').where('endpoint_id', '=', endpoint.id).execute()

  await (await ask('/console/keys', { name: slug })).press()
  t.match(
    rowsOf((await open('/console/keys')).body).find((row) => row.startsWith(slug)),
    admin.email,
  )
})

t.test('the filter of the audit log finds what is typed plainly, and says what it cannot take', async (t) => {
  const { open, admin, personWith } = await atConsole(t)
  const slug = unique('app')
  await admin.put(`/api/admin/apps/${slug}`, {})
  const bob = await personWith(3)
  const reversed = await open(`/console/accounts/${bob.id}/entries?from=2026-11-26&to=2026-11-25`)
  t.match([reversed.statusCode, reversed.body], [400, /to must not be before from/])
  const asked = (query: Record<string, string>) => open(`/console/audit?${new URLSearchParams(query)}`)
  for (const target of [`app ${slug}`, slug, ` ${slug.toUpperCase()} `, `APP  ${slug}`]) {
    const rows = rowsOf((await asked({ target })).body)
    t.match([rows.length, rows[0]], [1, new RegExp(`app ${slug}`)], target)
  }
  t.strictSame(
    Object.values(KINDS).flat().toSorted(),
    Object.keys(ACTION_WORDS).toSorted(),
    'each change is of one kind',
  )
  t.match(rowsOf((await asked({ target: 'App' })).body)[0], /app /, 'a kind alone: changes of that kind')
  for (const target of ['nothing', 'constructor', 'nobody@example.com', `account ${slug}`])
    t.strictSame(rowsOf((await asked({ target })).body), [], target)
  t.strictSame(rowsOf((await asked({ target: 'job', action: 'setApp' })).body), [], 'a kind and a change of another')
  const rows = rowsOf((await asked({ target: bob.email })).body)
  t.match([rows.length, rows[0]], [1, new RegExp(`Credits given or taken .* ${bob.email} `)], 'a person by their name')
  for (const [query, sentence] of [
    [{ action: 'noSuchThing' }, /Action “noSuchThing” is not one that the log has/],
    [{ action: 'toString' }, /Action “toString” is not one that the log has/],
    [{ from: '2026-11-26', to: '2026-11-25' }, /Until must not be before From/],
  ] as const) {
    const { statusCode, body } = await asked(query)
    t.match([statusCode, plain(body)], [400, sentence])
    t.match(body, /<nav class="sections"/)
  }
})

t.test('a long time is said in its two largest units', async (t) => {
  const cases = [
    [4_620 * 60, '3 days and 5 hours'],
    [3_600, '1 hour'],
    [86_400 + 60, '1 day'],
    [30, '1 minute'],
  ] as const
  for (const [seconds, words] of cases) t.equal(durationText(seconds), words)
})

t.test('a closed account owes nothing more, and the tile and the list of those below zero agree', async (t) => {
  const { ask, open, person, admin, db } = await atConsole(t)
  const count = async () => {
    await gatherTotals(db)
    return Number(/Below zero<\/a><\/p>\s*<p class="figure[^"]*">([\d,]+)</.exec((await open('/console')).body)?.[1])
  }
  const before = await count()
  const [bob, zoe] = [await person(), await person()]
  for (const { clerkId: clerk_id } of [bob, zoe]) {
    const debt = {
      clerk_id,
      amount: -25,
      kind: 'adjustment',
      reference: unique('r'),
      reason: 'x',
      allow_negative: true,
    }
    t.equal((await admin.post('/api/admin/credits', debt)).statusCode, 200)
  }
  await (await ask(`/console/accounts/${zoe.id}/close`)).done({ reason: 'Asked by mail' })
  await (await ask(`/console/accounts/${zoe.id}/erase`)).done({ reason: 'Asked by mail' })
  const { body } = await open(`/console/accounts/${zoe.id}`)
  t.match(body, 'This account is closed')
  t.notMatch(body, 'It owes')
  const listed = (await open('/console/accounts?show=negative')).body
  t.strictSame(
    [bob, zoe].map(({ id }) => listed.includes(id)),
    [true, false],
  )
  t.equal(await count(), before + 1)
})

t.test('an address with an id that is none leads to no page; a number too large is told its bound', async (t) => {
  const { open, post, ada } = await atConsole(t)
  const at = `/console/accounts/${ada.id}`
  for (const url of ['/console/accounts/x', `${at}/jobs/x`, '/console/webhooks/x', '/console/apps/No_Slug']) {
    const { statusCode, body } = await open(url)
    t.match([statusCode, body], [404, new RegExp(`There is no page at ${url}\\.[\\s\\S]*Request id`)])
  }
  for (const url of ['/console/audit?account_id=x', '/console/jobs?cursor=x', '/console/accounts?cursor=x']) {
    const { statusCode, body } = await open(url)
    t.match([statusCode, body], [400, /is not one that this page has\./], url)
    t.notMatch(body, /pattern|anyOf/)
  }
  const refused = async (url: string, fields: Record<string, string>) =>
    /class="wrong" role="alert">([^<]*)</.exec((await post(url, fields)).body)?.[1]
  const most = '9,007,199,254,740,991'
  t.equal(
    await refused(`${at}/credits`, { what: 'admin_grant', amount: '1'.repeat(20) }),
    `Credits must be a whole number from 1 to ${most}.`,
  )
  t.equal(
    await refused('/console/apps', { slug: 'x', starter_credits: '1'.repeat(20) }),
    `Starter credits must be a whole number from 0 to ${most}.`,
  )
})
