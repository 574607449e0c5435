import { readFile } from 'node:fs/promises'
import t from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { HELP } from '../../src/routes/pages/console/help.ts'
import { overviewCharts } from '../../src/routes/pages/console/overview-charts.ts'
import { atConsole } from '../support/console.ts'
import { HOSTILE } from '../support/pages.ts'
import { earlier, unique } from '../support/start.ts'

t.test('every page links to the paragraph of the docs that explains it', async (t) => {
  const { app, open } = await atConsole(t)
  for (const { href } of Object.values(HELP)) {
    const [path = '', anchor] = href.split('#')
    t.match((await app.inject(path)).body, `id="${anchor}"`, href)
  }
  const { body } = await open('/console')
  const pages = [...body.matchAll(/<li><a href="(\/console[^"]*)"/g)].map(([, href = '']) => href)
  t.ok(pages.length >= 8)
  for (const page of pages) {
    const { statusCode, body } = await open(page)
    t.match([statusCode, body], [200, /<p class="help"><a href="\/docs\/[a-z]+#/], page)
    t.equal([...body.matchAll(/aria-current="page"/g)].length, 1, `${page} says where it is`)
  }
})

t.test('verify says when the ledger was checked last', async (t) => {
  const { open, post } = await atConsole(t)
  await post('/console/verify', {})
  t.match((await open('/console/verify')).body, /Every check holds\.<\/strong> Checked <time[^>]*>just now<\/time>/)
})

t.test('a broken ledger is explained, with the accounts that it is about', async (t) => {
  const { post, open, db, ada } = await atConsole(t)
  await db.updateTable('accounts').set({ held: 3 }).where('id', '=', ada.id).execute()
  await post('/console/verify', {})
  const { body } = await open('/console/verify')
  await db.updateTable('accounts').set({ held: 0 }).where('id', '=', ada.id).execute()
  t.match(
    body,
    /held equals what the started jobs reserve[\s\S]*What to do:<\/strong> Set held to what the jobs in progress/,
  )
  t.match(body, `<a href="/console/accounts/${ada.id}">`)
})

t.test('what apps and people write is shown as text', async (t) => {
  const { admin, ada, open, db, person } = await atConsole(t)
  const slug = unique('app')
  await admin.put(`/api/admin/apps/${slug}`, { name: HOSTILE })
  const job = {
    app: slug,
    action: HOSTILE,
    cost_estimate: 0,
    metadata: { description: HOSTILE, previewUrl: 'javascript:alert(1)' },
  }
  const { job_id } = (await ada.post('/api/jobs', job)).json()
  const given = { clerk_id: ada.clerkId, amount: 1, kind: 'topup', reference: `${HOSTILE}1`, reason: HOSTILE }
  await admin.post('/api/admin/credits', given)
  await db.updateTable('sessions').set({ name: HOSTILE }).where('account_id', '=', ada.id).execute()
  const [other] = [await person()]
  const pages = [
    '/console',
    '/console/apps',
    `/console/apps/${slug}`,
    '/console/accounts',
    `/console/accounts/${ada.id}`,
  ]
  const more = [`/console/accounts/${ada.id}/jobs/${job_id}`, `/console/accounts/${ada.id}/entries`, '/console/audit']
  for (const page of [...pages, ...more]) {
    const { statusCode, body, headers } = await open(page)
    t.equal(statusCode, 200, page)
    t.notMatch(body, '<img src=x', page)
    t.notMatch(body, 'href="javascript:', page)
    t.match(headers, {
      'cache-control': 'no-store',
      'content-security-policy': /default-src 'none'.*script-src 'self';/,
    })
  }
  t.equal(
    (await open(`/console/accounts/${other.id}/jobs/${job_id}`)).statusCode,
    404,
    "not by another account's address",
  )
  for (const page of ['/console/accounts?show=all', '/console/purchases?status=x']) {
    t.match(await open(page), { statusCode: 400, body: /<nav class="sections"/ }, page)
  }
  t.equal((await open(`/console/accounts/${crypto.randomUUID()}`)).statusCode, 404)
})

t.test('lists are sorted, filtered and paged by links', async (t) => {
  const { open, person, admin } = await atConsole(t)
  const people = await Promise.all(Array.from({ length: 55 }, () => person()))
  const first = (await open('/console/accounts')).body
  t.match(first, /aria-sort="descending"><a href="\/console\/accounts\?sort=oldest">/)
  const next = /href="([^"]+)" rel="next"/.exec(first)?.[1]?.replaceAll('&amp;', '&') ?? ''
  const second = (await open(next)).body
  t.ok(
    people.every(({ id }) => first.includes(id) !== second.includes(id)),
    'each account once',
  )
  t.match(second, '<a href="/console/accounts">First page</a>')
  const debtor = people[0]
  const debt = {
    clerk_id: debtor?.clerkId,
    amount: -5,
    kind: 'adjustment',
    reference: 'r',
    reason: 'x',
    allow_negative: true,
  }
  await admin.post('/api/admin/credits', debt)
  const negative = (await open('/console/accounts?show=negative')).body
  t.match(negative, /aria-current="true">Below zero/)
  t.match(negative, debtor?.email)
  t.match((await open('/console/accounts?show=closed')).body, /No account is closed\./)
})

t.test('the search leads straight to what is meant', async (t) => {
  const { open, ada, admin, db } = await atConsole(t)
  const reference = unique('pi')
  const given = { clerk_id: ada.clerkId, amount: 9, kind: 'topup', reference, reason: 'x' }
  await admin.post('/api/admin/credits', given)
  const job = (await ada.reserve(1)).json().job_id
  const token = { account_id: ada.id, name: 'laptop', last_four: 'Zz9q', expires_at: new Date(Date.now() + 1e9) }
  const ids = { id: crypto.randomUUID(), token_hash: unique('hash') }
  await db
    .insertInto('tokens')
    .values({ ...token, ...ids, scopes: ['account'] })
    .execute()
  for (const q of [ada.email, ada.clerkId, ada.id, reference, 'Zz9q', ` ${ada.id.toUpperCase()} `]) {
    const found = await open(`/console/search?${new URLSearchParams({ q })}`)
    t.match([found.statusCode, found.headers.location], [303, `/console/accounts/${ada.id}`], q)
  }
  const found = await open(`/console/search?q=${job}`)
  t.equal(found.headers.location, `/console/accounts/${ada.id}/jobs/${job}`)
  t.match(await open('/console/search?q=nothing'), {
    statusCode: 200,
    body: /Nothing found\.[\s\S]*What can be searched: an e-mail address or its first three/,
  })
  t.match((await open(`/console/search?q=${encodeURIComponent(`${HOSTILE}x`)}`)).body, /value="&quot;/)
})

t.test('the search finds apps, and people by the beginning of their address', async (t) => {
  const { open, admin, person } = await atConsole(t)
  const slug = unique('clips')
  await admin.put(`/api/admin/apps/${slug}`, { name: `The ${slug} app` })
  const found = (q: string) => open(`/console/search?${new URLSearchParams({ q })}`)
  for (const q of [slug, `the ${slug.toUpperCase()}`, slug.slice(1)])
    t.match(await found(q), { statusCode: 303, headers: { location: `/console/apps/${slug}` } }, q)
  const local = unique('zoe')
  const [first, second] = [await person(`${local}-a@example.com`), await person(`${local}-b@Example.com`)]
  const { body } = await found(local.toUpperCase())
  t.ok([first.id, second.id].every((id) => body.includes(`/console/accounts/${id}`)))
  t.match((await found(`${local}-a`)).headers.location, `/console/accounts/${first.id}`)
  t.match((await found('%%%')).body, /Nothing found/, 'what means something to SQL is text')
})

t.test('the overview names endpoints that fail now, since when, and those with lost messages', async (t) => {
  const { open, admin, db, ada } = await atConsole(t)
  const slug = unique('app')
  await admin.put(`/api/admin/apps/${slug}`, {})
  const endpoint = async (path: string) =>
    (
      await admin.post(`/api/admin/apps/${slug}/webhooks`, {
        url: `https://hooks.example.com/${path}`,
        events: ['job.failed'],
      })
    ).json().endpoint.id as string
  const [failing, lost, fine, late] = [
    await endpoint('failing'),
    await endpoint('lost'),
    await endpoint('fine'),
    await endpoint('late'),
  ]
  t.match(
    (await open('/console')).body,
    /Endpoints failing or late<\/a><\/p>\s*<p class="figure">0<\/p>\s*<p class="small">no message waits/,
  )
  const since = new Date(Date.now() - 4 * 60_000 - 1_000)
  const retry_at = new Date(Date.now() + 3.5 * 60_000)
  const state = { endpoint_id: failing, failures: 3, failing_since: since, last_error: 'status 500', retry_at }
  await db.insertInto('webhook_delivery_state').values(state).execute()
  const message = (endpoint_id: string, status: 'dead' | 'pending', more = {}) =>
    db
      .insertInto('webhook_messages')
      .values({ account_id: ada.id, endpoint_id, event: 'job.failed', payload: '{}', status, ...more })
      .execute()
  await message(failing, 'pending')
  await message(lost, 'dead')
  const DAY_MS = 86_400_000
  await message(late, 'pending', {
    give_up_at: new Date(Date.now() + 3 * DAY_MS - 600_000),
    next_attempt_at: new Date(Date.now() + 1e7),
  })
  const { body } = await open('/console')
  t.match(
    body,
    /Endpoints failing or late<\/a><\/p>\s*<p class="figure fault">2<\/p>\s*<p class="small">2 messages wait/,
  )
  const [, section = ''] = /Webhook endpoints that need attention<\/h2>([\s\S]*?)<\/section>/.exec(body) ?? []
  const row = (id: string) =>
    /<tr[\s\S]*?<\/tr>/.exec(section.slice(section.lastIndexOf('<tr', section.indexOf(id))))?.[0] ?? ''
  t.match(row(failing), /Failing[\s\S]*3 failed attempts[\s\S]*in 3 minutes[\s\S]*4 minutes ago[\s\S]*status 500/)
  t.match(row(late), /Late[\s\S]*10 minutes ago/)
  t.match(row(lost), /Messages lost/)
  t.notMatch(section, fine)
  t.match((await open(`/console/webhooks/${failing}`)).body, /Next try<\/dt><dd>\s*<time[^>]*>in 3 minutes/)
  const waiting = await db
    .selectFrom('webhook_messages')
    .select('id')
    .where('endpoint_id', '=', failing)
    .executeTakeFirstOrThrow()
  await db.updateTable('webhook_messages').set({ attempts: 2 }).where('endpoint_id', '=', failing).execute()
  for (const [message_id, attempt] of [
    [crypto.randomUUID(), 1],
    [waiting.id, 1],
    [waiting.id, 2],
  ] as const) {
    const tried = {
      id: uuidv7(),
      account_id: ada.id,
      endpoint_id: failing,
      message_id,
      event: 'job.failed',
      attempt,
      ms: 5,
      status: 500,
      error: 'Answered 500.',
      answer: 'out of disk <b>',
    }
    await db
      .insertInto('webhook_attempts')
      .values({ ...tried, next_attempt_at: new Date(Date.now() + 1e7) })
      .execute()
  }
  const deliveries = (await open(`/console/webhooks/${failing}`)).body.split('id="deliveries"')[1] ?? ''
  t.match(deliveries, 'Answered 500. It said: out of disk &lt;b&gt;')
  const tries = [...deliveries.matchAll(/data-label="Next try"[^>]*><div>\s*([\s\S]*?)\s*<\/div>/g)].map(
    ([, cell = '']) => cell.replaceAll(/<[^>]*>/g, ''),
  )
  t.strictSame(tries, ['in 3 minutes', '–', '–'], 'only what waits is tried again, no earlier than its endpoint')
  const { webhooks } = (await admin.get('/api/admin/overview')).json().overview
  t.match(webhooks, { failing_endpoints: 1, late_endpoints: 1 })
  await db.deleteFrom('webhook_messages').where('endpoint_id', 'in', [failing, lost, late]).execute()
  await db.deleteFrom('webhook_delivery_state').where('endpoint_id', '=', failing).execute()
})

t.test('entries name their jobs and what became of them, and are filtered', async (t) => {
  const { open, personWith, admin } = await atConsole(t)
  const bob = await personWith(50)
  const start = async (app: string, action: string) =>
    (await bob.post('/api/jobs', { app, action, cost_estimate: 7 })).json().job_id as string
  const [done, failed] = [await start('clips', 'cut'), await start('maps', 'draw')]
  await start('clips', 'running')
  await bob.complete(done, 3)
  await bob.fail(failed)
  const at = `/console/accounts/${bob.id}`
  const rows = async (query = '') => {
    const { body, statusCode } = await open(`${at}/entries${query}`)
    t.equal(statusCode, 200, query)
    return [...body.matchAll(/<tr role="row"><td[\s\S]*?<\/tr>/g)].map(([row]) =>
      row.replaceAll(/<[^>]*>|\s+/g, ' ').replaceAll(/ +/g, ' '),
    )
  }
  const all = await rows()
  for (const words of [
    /Held for a job completed: it cost 3 of 7 −7 .* cut clips · cut/,
    /Held for a job failed: all of it came back/,
    /Held for a job the job runs/,
  ])
    t.ok(
      all.some((row) => words.test(row)),
      String(words),
    )
  t.match((await open(at)).body, /completed: it cost 3 of 7/)
  t.equal((await rows('?app=maps')).length, 2)
  t.equal((await rows('?kind=job_reserve')).length, 3)
  t.equal((await rows(`?from=${new Date().toISOString().slice(0, 10)}&to=&kind=&app=clips`)).length, 3)
  t.equal((await rows('?to=2020-01-01')).length, 0)
  t.match((await open(`${at}/entries?to=2020-01-01`)).body, /None match/)
  t.match((await open(`${at}/jobs?app=clips&status=completed`)).body, /name="app"[^>]*value="clips"/)
  t.equal((await open(`${at}/entries?kind=x`)).statusCode, 400)
  t.match((await open(`${at}/jobs/${crypto.randomUUID()}`)).body, /There is no job with this id\./)
  t.equal((await admin.get(`/api/admin/jobs/${crypto.randomUUID()}`)).json().message, 'There is no job with this id.')
})

t.test('a closed account is called by what is still known of it; the audit log is filtered by a form', async (t) => {
  const { open, ask, person, admin } = await atConsole(t)
  const zoe = await person()
  await (await ask(`/console/accounts/${zoe.id}/close`)).done({ reason: 'Asked by mail' })
  const { body } = await open(`/console/accounts/${zoe.id}`)
  t.match(body, `<h1>${zoe.clerkId.slice(0, 8)}…${zoe.clerkId.slice(-4)}, closed</h1>`)
  const slug = unique('app')
  await admin.put(`/api/admin/apps/${slug}`, { starter_credits: 9 })
  const shows = async (query: Record<string, string>) => {
    const page = await open(`/console/audit?${new URLSearchParams(query)}`)
    t.equal(page.statusCode, 200, JSON.stringify(query))
    const [, table = ''] = /<tbody([\s\S]*)<\/tbody>/.exec(page.body) ?? []
    return [table.includes('Account closed'), table.includes(`app ${slug}`)]
  }
  const [today, empty] = [
    new Date().toISOString().slice(0, 10),
    { action: '', target: '', account_id: '', from: '', to: '' },
  ]
  t.strictSame(await shows({ ...empty, administrator: admin.id }), [true, true])
  t.strictSame(await shows({ ...empty, action: 'closeAccount' }), [true, false])
  t.strictSame(await shows({ ...empty, target: `app ${slug}` }), [false, true])
  t.strictSame(await shows({ ...empty, account_id: zoe.id, from: today, to: today }), [true, false])
  t.strictSame(await shows({ ...empty, to: '2020-01-01' }), [false, false])
  t.strictSame(await shows({ ...empty, administrator: zoe.id }), [false, false])
  const form = (await open('/console/audit?action=setApp')).body
  t.match(form, /<option value="setApp" selected>App changed/)
  t.match(form, new RegExp(`<option value="${admin.id}">${admin.email}</option>`))
})

t.test('jobs of all accounts are filtered; an overdue one stands out, also on the overview', async (t) => {
  const { open, personWith, db, admin } = await atConsole(t)
  const slug = unique('app')
  await admin.put(`/api/admin/apps/${slug}`, { starter_credits: 50 })
  const bob = await personWith(20)
  const start = async (action: string) =>
    (await bob.post('/api/jobs', { app: slug, action, cost_estimate: 2 })).json().job_id as string
  const [done, stuck] = [await start('finished work'), await start('stuck work')]
  await bob.complete(done, 1)
  await db
    .updateTable('jobs')
    .set({ expires_at: earlier('expires_at', '2 days') })
    .where('id', '=', stuck)
    .execute()
  const listed = async (query: string) => {
    const { body } = await open(`/console/jobs?app=${slug}${query}`)
    return ['finished work', 'stuck work'].filter((action) => body.includes(action))
  }
  t.strictSame(await listed(''), ['finished work', 'stuck work'])
  t.strictSame(await listed('&show=completed'), ['finished work'])
  t.strictSame(await listed('&show=overdue'), ['stuck work'])
  t.strictSame(await listed('&show=failed'), [])
  t.match((await open(`/console/jobs?app=${slug}`)).body, /Overdue[\s\S]*aria-current="true">Every|aria-current="true"/)
  const overview = (await open('/console')).body
  t.match(overview, /Overdue holds<\/a><\/p>\s*<p class="figure fault">1<\/p>/)
  await db
    .updateTable('jobs')
    .set({ expires_at: new Date(Date.now() + 1e7) })
    .where('id', '=', stuck)
    .execute()
})

t.test('the charts say the same as a picture, as a sentence and as a table', async (t) => {
  const nothing = {
    granted: 0,
    bought: 0,
    refunded: 0,
    taken: 0,
    held: 0,
    spent: 0,
    started: 0,
    completed: 0,
    failed: 0,
    expired: 0,
  }
  const none = { ...nothing, purchases: 0, credits_bought: 0 }
  const days = [
    { ...none, day: '2026-11-24', completed: 6, failed: 1, expired: 1, held: 30, spent: 20 },
    { ...none, day: '2026-11-25' },
    { ...none, day: '2026-11-26', completed: 2, started: 2, held: 10, spent: 15 },
  ]
  t.strictSame(overviewCharts([{ ...none, day: '2026-11-26' }]), [], 'no chart without anything to show')
  const [spent, jobs] = overviewCharts(days)
  t.match(jobs, {
    sentence: 'In 30 days 8 were completed, 1 failed, 1 expired; 2 run.',
    top: '8',
    columns: ['Completed', 'Running', 'Failed or expired'],
    rows: [
      { day: '26 Nov', values: ['2', '2', '0'] },
      { day: '24 Nov', values: ['6', '0', '2'] },
    ],
    bars: [
      { height: 75, y: 25 },
      { height: 25, y: 0 },
      { height: 25, y: 75 },
      { height: 25, y: 50 },
    ],
  })
  t.match(spent?.rows, [{ values: ['15', '0'] }, { values: ['20', '10'] }])
})

t.test('an installation that is new is told three steps, which tick themselves off', async (t) => {
  const { open, admin, ada, db } = await atConsole(t, { ALLOWED_ORIGINS: '' })
  const slugs = await db.selectFrom('apps').select('slug').where('slug', '<>', 'video').execute()
  if (slugs.length) await db.deleteFrom('apps').where('slug', '<>', 'video').execute()
  const done = async () => [...(await open('/console')).body.matchAll(/<s>([^<]+)<\/s>/g)].map(([, step]) => step)
  const jobs = await db.selectFrom('jobs').select('id').limit(1).execute()
  t.strictSame(await done(), jobs.length ? ['Reserve a first credit'] : [])
  await admin.put('/api/admin/apps/clips', {})
  if (!jobs.length) {
    t.strictSame(await done(), ['Register an app'])
    await ada.reserve(0)
  }
  t.notMatch((await open('/console')).body, 'Three steps', 'also where no app has an origin')
})

t.test('the image has the documents that the pages lead to', async (t) => {
  t.match(await readFile('Dockerfile', 'utf8'), /^COPY docs docs$/m)
  t.match(await readFile('.dockerignore', 'utf8'), /^!docs$/m)
})
