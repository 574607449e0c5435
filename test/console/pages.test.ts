import { readFile } from 'node:fs/promises'
import t from 'tap'
import { HELP } from '../../src/routes/pages/console/help.ts'
import { atConsole } from '../support/console.ts'
import { HOSTILE } from '../support/pages.ts'
import { unique } from '../support/start.ts'

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
  t.match((await post('/console/verify', {})).body, /Every check holds\./)
  t.match((await open('/console/verify')).body, /Last checked <time[^>]*>just now<\/time>\s*: every check held\./)
})

t.test('a broken ledger is explained, with the accounts that it is about', async (t) => {
  const { post, db, ada } = await atConsole(t)
  await db.updateTable('accounts').set({ held: 3 }).where('id', '=', ada.id).execute()
  const { body } = await post('/console/verify', {})
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
  for (const page of ['/console/accounts/x', '/console/accounts?show=all', '/console/purchases?status=x']) {
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

t.test('an installation that is new is told three steps, which tick themselves off', async (t) => {
  const { open, admin, ada, db } = await atConsole(t, { ALLOWED_ORIGINS: '' })
  const slugs = await db.selectFrom('apps').select('slug').where('slug', '<>', 'video').execute()
  if (slugs.length) await db.deleteFrom('apps').where('slug', '<>', 'video').execute()
  const done = async () => [...(await open('/console')).body.matchAll(/<s>([^<]+)<\/s>/g)].map(([, step]) => step)
  const jobs = await db.selectFrom('jobs').select('id').limit(1).execute()
  t.strictSame(await done(), jobs.length ? ['Reserve a first credit'] : [])
  await admin.put('/api/admin/apps/clips', {})
  t.equal((await done())[0], 'Register an app')
  if (!jobs.length) await ada.reserve(0)
  t.strictSame(await done(), ['Register an app', 'Reserve a first credit'])
  await admin.put('/api/admin/apps/clips', { origins: ['https://clips.example.com'] })
  t.notMatch((await open('/console')).body, 'Three steps')
})

t.test('the image has the documents that the pages lead to', async (t) => {
  t.match(await readFile('Dockerfile', 'utf8'), /^COPY docs docs$/m)
  t.match(await readFile('.dockerignore', 'utf8'), /^!docs$/m)
})
