import t from 'tap'
import { daysAgo, past } from '../support/history.ts'
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
  let next: string | undefined = '/account'
  for (let pages = 0; next && pages < 5; pages++) {
    const { body } = await see(next)
    seen.push(...[...body.matchAll(/>job (\d+)\.</g)].map(([, n]) => Number(n)))
    next = /href="(\/account\?before=[^"]+)"/.exec(body)?.[1]
  }
  t.strictSame(
    seen,
    Array.from({ length: 23 }, (_, i) => 23 - i),
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
  t.equal((await see('/account?before=nonsense')).statusCode, 400)
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
