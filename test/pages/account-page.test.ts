import t from 'tap'
import { daysAgo, past } from '../support/history.ts'
import { logIn, OURS, opened } from '../support/pages.ts'
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
  t.match(body, new RegExp(`to ${expected[0]?.toLocaleString('en-US')} credits today`))
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
    seen.push(...[...body.matchAll(/<p class="what">job (\d+)\.</g)].map(([, n]) => Number(n)))
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
  await logIn(service, { client_name: "ada's" })
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
