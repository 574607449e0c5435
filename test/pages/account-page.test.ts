import t from 'tap'
import { daysAgo, past, pastJobs } from '../support/history.ts'
import { logInByPage, OURS, opened } from '../support/pages.ts'
import { unique } from '../support/start.ts'

t.test('a preview is a link only when it leads to the web', async (t) => {
  const { see, ada } = await opened(t)
  await ada.get('/api/wallet?app=video')
  const urls = [
    'javascript:alert(1)',
    'data:text/html,x',
    'ftp://a.example/',
    '//a.example/',
    'file:///etc/passwd',
    7,
    {},
  ]
  for (const previewUrl of [...urls, 'http://ok.example/1', 'https://ok.example/2']) {
    await ada.post('/api/jobs', { app: 'video', action: 'render', cost_estimate: 0, metadata: { previewUrl } })
  }
  const links = [
    ...(await see('/account')).body.matchAll(/<a href="([^"]+)" rel="noopener noreferrer" target="_blank">/g),
  ]
  t.strictSame(
    links.map(([, href]) => href),
    ['https://ok.example/2', 'http://ok.example/1'],
  )
})

t.test('the chart and its table have the balance at the end of each of 30 days', async (t) => {
  const { db, see, ada } = await opened(t)
  const movements = Array.from({ length: 300 }, (_, i) => ({ at: daysAgo(45 - i * 0.15), amount: i % 4 ? 7 : -9 }))
  await past(db, ada.id, movements)
  const midnight = Math.floor(Date.now() / 86_400_000) * 86_400_000
  const expected = Array.from({ length: 30 }, (_, i) => {
    const end = midnight + (1 - i) * 86_400_000
    return movements.filter(({ at }) => at.getTime() < end).reduce((sum, { amount }) => sum + amount, 0)
  })
  const { body } = await see('/account')
  const table = [...body.matchAll(/<tr><td>[^<]+<\/td><td>([^<]+)<\/td><\/tr>/g)]
  t.strictSame(
    table.map(([, credits]) => Number(credits?.replace('−', '-').replaceAll(',', ''))),
    expected,
  )
  t.match(body, /role="img" aria-labelledby="chart-text"/)
  t.match(body, new RegExp(`to ${expected[0]?.toLocaleString('en-US')} credits today\\.`))
})

t.test('the chart has the balance that until= says, also where entries waited for each other', async (t) => {
  const { db, see, ada } = await opened(t)
  const midnight = Math.floor(Date.now() / 86_400_000) * 86_400_000
  // The entry with the smaller number is the later one, by the clock that gave them their times.
  await past(db, ada.id, [
    { at: new Date(midnight - 86_400_000), amount: 5 },
    { at: new Date(midnight + 1_000), amount: 7 },
    { at: new Date(midnight - 2_000), amount: 11 },
  ])
  const until = new Date(midnight - 1).toISOString()
  const { entries } = (await ada.get(`/api/wallet/entries?limit=1&until=${until}`)).json()
  const [, yesterday] = [...(await see('/account')).body.matchAll(/<tr><td>[^<]+<\/td><td>([^<]+)<\/td><\/tr>/g)]
  t.equal(Number(yesterday?.[1]), entries[0].balance_after)
})

t.test('the chart begins with the first entry, and appears when there are several days to show', async (t) => {
  const { db, see, person } = await opened(t)
  const days = async (first: number) => {
    const somebody = await person()
    await past(db, somebody.id, [
      { at: daysAgo(first), amount: 7 },
      { at: daysAgo(0), amount: -2 },
    ])
    const { body } = await see('/account', somebody.cookie)
    return [body.includes('<svg'), [...body.matchAll(/<tr><td>/g)].length]
  }
  t.strictSame(await days(0), [false, 0], 'one day is no chart')
  t.strictSame(await days(1), [true, 2])
  t.strictSame(await days(9), [true, 10])
  t.strictSame(await days(40), [true, 30])
})

t.test('what an account owes is said in words', async (t) => {
  const { db, see, ada } = await opened(t)
  for (const [amount, text] of [
    [-1, 'You owe 1 credit; new jobs wait until you top up.'],
    [-39, 'You owe 40 credits; new jobs wait until you top up.'],
    [41, '<strong>1</strong> credit to spend'],
    [1233, '<strong>1,234</strong> credits to spend'],
  ] as const) {
    await past(db, ada.id, [{ at: new Date(), amount }])
    t.match((await see('/account')).body, text)
  }
})

t.test('the history names jobs by their description and links them to a page with their entries', async (t) => {
  const { see, ada, person } = await opened(t)
  const bob = await person()
  await ada.get('/api/wallet?app=video')
  const metadata = { description: 'Trailer of the spring season' }
  const job = { app: 'video', action: 'render', cost_estimate: 5, metadata }
  const { job_id } = (await ada.post('/api/jobs', job)).json()
  await ada.complete((await ada.reserve(1)).json().job_id, 1)
  const link = `<a href="/account/jobs/${job_id}">Trailer of the spring season</a>`
  for (const page of ['/account', '/account/entries']) t.ok((await see(page)).body.includes(link), page)
  t.match((await see('/account/entries')).body, />render<\/a>/, 'without a description, by the action')

  const running = (await see(`/account/jobs/${job_id}`)).body
  for (const text of [
    '<h1>Trailer of the spring season</h1>',
    'Video (example)',
    '5 credits held',
    'Hold expires',
    '−5',
  ])
    t.ok(running.includes(text), text)
  await ada.complete(job_id, 3)
  const ended = (await see(`/account/jobs/${job_id}`)).body
  for (const text of ['Completed', '3 credits', 'Unused credits returned', '+2']) t.ok(ended.includes(text), text)
  t.equal([...ended.matchAll(/class="what"/g)].length, 2, 'no entry of another job')
  t.equal((await see(`/account/jobs/${job_id}`, bob.cookie)).statusCode, 404)
  t.equal((await see('/account/jobs/x')).statusCode, 400)
})

t.test('a person who came from an app finds the way back, through sign-in and on every page', async (t) => {
  const { app, see, admin, ada } = await opened(t)
  const origin = 'http://localhost:4111'
  await (await admin()).put('/api/admin/apps/podcasts', { starter_credits: 0, name: 'Podcasts', origins: [origin] })
  const target = `${origin}/episodes?n=1&m=2`
  const query = new URLSearchParams({ redirect_to: target })
  const back = '<a href="http://localhost:4111/episodes?n=1&amp;m=2">Back to Podcasts</a>'
  const { body } = await see(`/account?${query}`)
  t.ok(body.includes(back))
  const next = /href="(\/account\/entries[^"]+)"/.exec(body)?.[1]?.replaceAll('&amp;', '&') ?? ''
  t.ok((await see(next)).body.includes(back), 'the history keeps it')

  const referred = { cookie: ada.cookie, referer: `${origin}/` }
  const visit = await app.inject({ url: '/account', headers: referred })
  t.ok(visit.body.includes(`<a href="${origin}/">Back to Podcasts</a>`), 'a link to /account is enough')
  const signin = await app.inject({ url: '/account', headers: { referer: `${origin}/` } })
  const returns = new URL(new URL(String(signin.headers.location), OURS).searchParams.get('redirect_to') ?? '')
  t.equal(returns.searchParams.get('redirect_to'), `${origin}/`)
  for (const hostile of ['https://evil.example/', 'javascript:alert(1)', `${OURS}/account`, '//localhost:4111/']) {
    const page = await app.inject({
      url: `/account?${new URLSearchParams({ redirect_to: hostile })}`,
      headers: referred,
    })
    t.match([page.statusCode, page.body.includes('Back to')], [200, false], hostile)
  }
})

t.test('jobs and entries come in pages, newest first', async (t) => {
  const { see, ada } = await opened(t)
  await ada.get('/api/wallet?app=video')
  for (let i = 1; i <= 23; i++) {
    await ada.post('/api/jobs', { app: 'video', action: `job ${i}.`, cost_estimate: 0 })
  }
  const seen: number[] = []
  t.equal([...(await see('/account')).body.matchAll(/>job \d+\.</g)].length, 10, 'the newest ones')
  for (let i = 24; i <= 110; i++) {
    await ada.post('/api/jobs', { app: 'video', action: `job ${i}.`, cost_estimate: 0 })
  }
  let next: string | undefined = '/account/jobs'
  for (let pages = 0; next && pages < 5; pages++) {
    const { body } = await see(next)
    seen.push(...[...body.matchAll(/>job (\d+)\.</g)].map(([, n]) => Number(n)))
    next = /href="(\/account\/jobs\?before=[^"]+)"/.exec(body)?.[1]
  }
  t.strictSame(
    seen,
    Array.from({ length: 110 }, (_, i) => 110 - i),
  )

  for (let i = 0; i < 30; i++) {
    await ada.complete((await ada.reserve(1)).json().job_id, 0)
  }
  const first = (await see('/account/entries')).body
  const older = /href="(\/account\/entries\?before=\d+)"/.exec(first)?.[1] ?? ''
  const amounts = (body: string) => [...body.matchAll(/<p class="number[^"]*">([+−]\d+)</g)].map(([, amount]) => amount)
  t.equal(amounts(first).length, 50)
  t.equal(amounts((await see(older)).body).length, 11)
  t.equal((await see('/account/entries?before=nonsense')).statusCode, 400)
  t.equal((await see('/account/jobs?before=nonsense')).statusCode, 400)
})

t.test("nobody sees or revokes what is somebody else's", async (t) => {
  const service = await opened(t)
  const { see, post, person, db } = service
  const bob = await person(`${unique('bob')}@example.com`)
  await logInByPage(service, { client_name: "ada's" })
  t.notMatch((await see('/account', bob.cookie)).body, 'ada&#39;s')
  const { id } = await db
    .selectFrom('tokens')
    .select('id')
    .where('account_id', '=', service.ada.id)
    .executeTakeFirstOrThrow()
  t.equal((await post('/account/revoke', { id }, { origin: OURS }, bob.cookie)).statusCode, 404)
  t.equal((await post('/account/revoke', { id: 'x' })).statusCode, 400)
  t.equal((await post('/account/revoke', { id })).statusCode, 303)
})

t.test('the form revokes at once, and the page says when and from where a token was last used', async (t) => {
  const service = await opened(t)
  const { app, see, post } = service
  const token = await logInByPage(service, { client_name: 'laptop' })
  const use = () =>
    app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` }, remoteAddress: '203.0.113.9' })
  t.match((await see('/account')).body, /laptop[\s\S]*never used/)
  t.equal((await use()).statusCode, 200)
  t.match((await see('/account')).body, /last used \d+ \w+ \d{4}, \d\d:\d\d UTC from 203\.0\.113\.9/)
  const { tokens } = (await see('/api/tokens')).json()
  t.match(tokens[0], { last_used_from: '203.0.113.9', last_used_at: String })
  t.equal((await post('/account/revoke', { id: tokens[0].id })).statusCode, 303)
  t.equal((await use()).statusCode, 401, 'not even the instance that knows it takes it')
})

t.test('jobs and entries are filtered on their pages, and what is filtered can be downloaded', async (t) => {
  const service = await opened(t)
  const { app, see, ada, db } = service
  const token = await logInByPage(service, { client_name: 'laptop' })
  const [{ id }] = (await ada.get('/api/tokens')).json().tokens
  await past(db, ada.id, [{ at: daysAgo(9), amount: 100 }])
  await pastJobs(db, ada.id, [
    { at: daysAgo(8), action: 'first', reserved: 5, end: 'completed', cost: 4 },
    { at: daysAgo(7), action: 'second', app: 'audio', reserved: 5, end: 'released' },
    { at: daysAgo(6), action: '=third', reserved: 5, end: 'completed', cost: 9, token_id: id },
  ])
  const day = (days: number) => daysAgo(days).toISOString().slice(0, 10)
  const seen = async (path: string) =>
    [...(await see(path)).body.matchAll(/>(first|second|=third)<\/a>/g)].map(([, action]) => action)
  for (const [query, jobs] of [
    ['', ['=third', 'second', 'first']],
    ['app=&status=&token=&from=&to=', ['=third', 'second', 'first']],
    ['app=audio', ['second']],
    ['status=completed', ['=third', 'first']],
    [`token=${id}`, ['=third']],
    [`from=${day(7)}&to=${day(7)}`, ['second']],
    [`to=${day(8)}`, ['first']],
  ] as const) {
    t.strictSame(await seen(`/account/jobs?${query}`), jobs, query)
  }
  t.strictSame(await seen('/account/entries?kind=job_overage'), ['=third'])
  t.strictSame(await seen('/account/entries?app=audio'), ['second', 'second'])
  t.match((await see('/account/jobs?app=other')).body, 'No job matches.')
  t.match((await see(`/account/jobs?token=${id}`)).body, new RegExp(`<option value="${id}" selected>laptop …`))
  for (const query of ['app=A', 'status=x', 'kind=x', 'token=x', 'from=2026-13-01', 'to=x']) {
    t.equal((await see(`/account/entries?${query}`)).statusCode, 400, query)
  }

  const { body } = await see(`/account/entries?token=${id}`)
  const link = /<a href="(\/account\/entries\.csv[^"]*)" download>/.exec(body)?.[1]?.replaceAll('&amp;', '&') ?? ''
  const csv = await see(link)
  t.match(csv.headers, {
    'content-type': 'text/csv; charset=utf-8',
    'content-disposition': /^attachment; filename="credits-[\d-]+\.csv"$/,
    'cache-control': 'no-store',
  })
  t.strictSame(
    csv.body
      .trim()
      .split('\n')
      .map((line) => line.split(',').filter((_, n) => n === 2 || n > 8)),
    [
      ['kind', 'app', 'action'],
      ['job_overage', 'clips', "'=third"],
      ['job_reserve', 'clips', "'=third"],
    ],
  )
  t.equal((await see('/account/entries.csv')).body.split('\n').length, 9, 'all of them')
  const stranger = await app.inject({ url: '/account/entries.csv', headers: { authorization: `Bearer ${token}` } })
  t.match([stranger.statusCode, stranger.headers.location], [303, /^\/signin\?/], 'a page is for a person in a browser')
})

t.test('the account page and the page of usage say where credits went', async (t) => {
  const service = await opened(t)
  const { see, ada, db, person } = service
  t.match((await see('/account', (await person()).cookie)).body, 'No jobs in the last 30 days.')
  await past(db, ada.id, [{ at: daysAgo(80), amount: 1000 }])
  await pastJobs(db, ada.id, [
    { at: daysAgo(70), reserved: 300, end: 'kept' },
    { at: daysAgo(8), action: '<b>', reserved: 50, end: 'completed', cost: 40 },
    { at: daysAgo(8), reserved: 50, end: 'released' },
    { at: daysAgo(3), app: 'audio', reserved: 50, end: 'completed', cost: 60 },
    { at: daysAgo(2), app: 'audio', reserved: 7 },
  ])
  const cells = (body: string) =>
    [...body.matchAll(/<th scope="row">([^<]*)<svg.*?width="([\d.]+)".*?<td>(.*?)<\/td>\s*<td>(\d+)/gs)].map((found) =>
      found.slice(1),
    )
  const { body } = await see('/account')
  t.strictSame(cells(body), [
    ['audio', '100', '2', '60'],
    ['clips', '66.7', '2', '40'],
  ])
  t.match(body, /100 credits in 30 days, most on \d+ \w+: 60\. Credits were used on 2 days\./)
  t.match(body, '+ 7 held')
  t.equal([...body.matchAll(/<rect x=/g)].length, 2)

  const day = (days: number) => daysAgo(days).toISOString().slice(0, 10)
  const usage = (await see(`/account/usage?from=${day(75)}&to=${day(8)}`)).body
  t.strictSame(cells(usage), [
    ['clips', '100', '3', '340'],
    ['render', '100', '2', '300'],
    ['&lt;b&gt;', '13.3', '1', '40'],
    ['Signed in, without a token', '100', '3', '340'],
  ])
  t.match((await see(`/account/usage?from=${day(40)}&to=${day(30)}`)).body, 'There were no jobs on these days.')
  t.match(
    (await see(`/account/usage?from=${day(2)}&to=${day(2)}`)).body,
    'The jobs of these days have cost nothing so far.',
  )
  for (const query of ['from=x', 'to=x', `from=${day(1)}&to=${day(3)}`, 'from=2020-01-01&to=2024-01-01']) {
    t.equal((await see(`/account/usage?${query}`)).statusCode, 400, query)
  }
})
