import { sql } from 'kysely'
import t from 'tap'
import { filled, inLabels } from '../../src/routes/pages/console/forms.ts'
import { atConsole } from '../support/console.ts'
import { giveTokens } from '../support/device.ts'
import { WAITING } from '../support/hold.ts'
import { ALLOWED } from '../support/pages.ts'
import { earlier, start, unique } from '../support/start.ts'
import { until } from '../support/until.ts'

/** The fields of the form that a page shows: what each has, what is wrong with it, and what has the focus. */
function formOf(body: string) {
  const main = /<main[\s\S]*<\/main>/.exec(body)?.[0] ?? ''
  const value = (name: string) => new RegExp(`name="${name}" value="([^"]*)"`).exec(main)?.[1]
  const [, fault = ''] = /class="wrong" role="alert">([^<]*)</.exec(main) ?? []
  const focused = /name="([a-z_]+)"[^>]*\bautofocus/.exec(main)?.[1]
  return { main, value, fault, focused }
}

t.test(
  'a form that is refused is shown again: what was typed, the fault at its field, by the name on its label',
  async (t) => {
    const { post, ada, admin, app } = await atConsole(t)
    const slug = unique('app')
    await admin.put(`/api/admin/apps/${slug}`, {})
    const at = `/console/accounts/${ada.id}`
    const pack = { slug: 'p', name: 'P', credits: '5', price: '100', currency: 'usd' }
    const settings = { name: 'New name', starter_credits: '5', overage_unit: 'percent', overage: 'x' }
    const cases: [string, Record<string, string>, string, RegExp][] = [
      [
        `${at}/credits`,
        { what: 'take', amount: '1.5' },
        'amount',
        /^Credits must be a whole number from 1 to 9,007,199,254,740,991\.$/,
      ],
      [
        `${at}/credits`,
        { what: 'take', amount: '7' },
        'amount',
        /^Credits cannot be so many: −7 credits would be left\. Tick/,
      ],
      ['/console/apps', { slug, name: 'Again' }, 'slug', /^Slug is taken: .* is registered already\.$/],
      ['/console/apps', { slug: 'Not A Slug', name: 'Again' }, 'slug', /^Slug must be lower-case letters/],
      ['/console/apps', { slug: `${slug}-2`, origins: 'not an origin' }, 'origins', /^Origins must be exact origins/],
      [
        `/console/apps/${slug}/settings`,
        settings,
        'overage',
        /^Credits or percent must be a whole number from 0 to 9,007,199,254,740,991\.$/,
      ],
      [`/console/apps/${slug}/addresses`, { redirect_uris: 'x' }, 'redirect_uris', /^Redirect URIs must be addresses/],
      [`/console/apps/${slug}/webhooks`, { url: 'https://a.example' }, 'events', /^Events must have at least one/],
      [
        `/console/apps/${slug}/addresses`,
        { return_paths: '/fine\r\ncallback' },
        'return_paths',
        /^Return paths must be paths such as \/callback, or \/auth\/ for all below it, not callback\.$/,
      ],
      [`/console/apps/${slug}/addresses`, { resources: 'x' }, 'resources', /^Resources must be http/],
      [
        `/console/apps/${slug}/webhooks`,
        { url: 'ftp://x', events: 'job.failed' },
        'url',
        /^URL must be an https:\/\/ URL without/,
      ],
      [
        `${at}/credits`,
        { what: 'take', amount: '7', reference: 'TR-1' },
        'reference',
        /^Payment reference is only for/,
      ],
      [
        `${at}/credits`,
        { what: 'topup', amount: '7', reference: 'stripe:x' },
        'reference',
        /^Payment reference must not begin with stripe:/,
      ],
      [
        '/console/packs',
        { ...pack, price: '0' },
        'price',
        /^Price must be a whole number from 1 to 999,999,999,999\.$/,
      ],
      ['/console/packs', { ...pack, currency: 'dollar' }, 'currency', /^Currency must be three letters/],
      ['/console/keys', { name: ' ' }, 'name', /^Name must say which server/],
    ]
    for (const [url, fields, field, sentence] of cases) {
      const { statusCode, body } = await post(url, fields)
      const { main, value, fault, focused } = formOf(body)
      t.match([statusCode, fault], [400, sentence], url)
      t.equal(focused, field, `${url}: the focus is at ${field}`)
      t.match(main, new RegExp(`action="${url}"`), `${url} can be sent again`)
      const [, described = ''] = new RegExp(`name="${field}"[^>]*aria-describedby="([^"]+)"`).exec(main) ?? []
      if (field !== 'events') t.match(described, new RegExp(`-${field}-fault\\b`))
      for (const [name, typed] of Object.entries(fields)) {
        const kept =
          name === 'what' || name === 'events'
            ? main.includes(`value="${typed}" checked`)
            : (value(name) ?? main).includes(typed.trim())
        t.ok(kept, `${url} keeps ${name}`)
      }
      t.notMatch(main, /Request id/, url)
    }
    t.equal(
      (await app.inject({ url: '/api/admin/apps', headers: { authorization: admin.authorization } })).statusCode,
      200,
    )
  },
)

t.test(
  'a reason that is missing is asked for at its field; what the ledger refuses leads back to the form',
  async (t) => {
    const { ask, open, ada } = await atConsole(t)
    const give = await ask(`/console/accounts/${ada.id}/credits`, { what: 'admin_grant', amount: '10' })
    t.match(give.effects, 'One entry of the kind admin_grant is written.', 'what is given without payment')
    const { main, fault, focused } = formOf((await give.press({ reason: ' ' })).body)
    t.match([fault, focused], [/^Reason is missing/, 'reason'])
    t.match(main, /aria-describedby="reason-fault reason-hint" aria-invalid="true"/)

    const take = await ask(`/console/accounts/${ada.id}/credits`, { what: 'take', amount: '5', allow_negative: 'yes' })
    t.match((await open(take.at)).body, /0 → −5 credits to spend/)
    await (await ask(`/console/accounts/${ada.id}/close`)).done({ reason: 'x' })
    const refused = await take.press({ reason: 'Chargeback' })
    t.match([refused.statusCode, refused.body], [403, /Nothing was changed[\s\S]*closed/])
  },
)

t.test('Back leads to the page that asks; pressing its button again does nothing', async (t) => {
  const { ask, open, ada } = await atConsole(t)
  const give = await ask(`/console/accounts/${ada.id}/credits`, { what: 'admin_grant', amount: '10' })
  t.match((await open(give.at)).body, /0 → 10 credits to spend/, 'it can be loaded again')
  t.match(await give.done({ reason: 'A gift' }), /^10 credits were given to .*, who has 10 credits now\.$/)
  const back = await open(give.at)
  t.match([back.statusCode, back.body], [409, /This has been done already, by this very form/])
  t.notMatch(back.body, /name="draft"/, 'without a button')
  t.match(await give.press({ reason: 'Another reason' }), { statusCode: 409, body: /This has been done already/ })
  t.match(await ada.balance(), { credits: 10 })
})

t.test(
  'whatever a form has changed, Back says that it is done and leads on, and its button does nothing',
  async (t) => {
    const { ask, open, admin, db, personWith } = await atConsole(t)
    const slug = unique('app')
    await admin.put(`/api/admin/apps/${slug}`, { origins: [] })
    const hook = { url: 'https://hooks.example.com/', events: ['job.failed'] }
    const { endpoint } = (await admin.post(`/api/admin/apps/${slug}/webhooks`, hook)).json()
    const { key } = (await admin.post('/api/admin/keys', { name: slug, scopes: ['topup'] })).json()
    const bob = await personWith(20)
    const { job_id } = (await bob.reserve(5)).json()
    const [token = ''] = await giveTokens({ db }, bob, 1)
    const at = `/console/accounts/${bob.id}`
    const webhook = `/console/webhooks/${endpoint.id}`
    const changes: [string, fields?: Record<string, string>, next?: string][] = [
      [`${at}/revoke-token`, { token }],
      [`${at}/jobs/${job_id}/end`, { hold: 'return' }, `${at}/jobs/${job_id}`],
      [`${at}/revoke-all`],
      [`${at}/close`],
      [`${at}/erase`],
      [`/console/keys/${key.id}/revoke`, {}, '/console/keys'],
      [`/console/apps/${slug}/settings`, { name: 'New', starter_credits: '1' }, `/console/apps/${slug}`],
      [`${webhook}/test`, {}, webhook],
      [`${webhook}/pause`, {}, webhook],
      [`${webhook}/remove`, {}, `/console/apps/${slug}`],
    ]
    for (const [url, fields, next = at] of changes) {
      const change = await ask(url, fields)
      await change.done({ reason: 'The first' })
      const before = await db.selectFrom('admin_actions').selectAll().execute()
      for (const again of [await open(change.at), await change.press({ reason: 'Another' })]) {
        t.match([again.statusCode, again.body], [409, /This has been done already, by this very form/], url)
        t.match(again.body, `href="${next}">Look again</a>`, url)
        t.notMatch(again.body, 'name="draft"', url)
      }
      t.equal((await db.selectFrom('admin_actions').selectAll().execute()).length, before.length, url)
    }
  },
)

t.test('a form that two instances carry out at the same time is carried out once', async (t) => {
  const { ask, app, db, send, admin } = await atConsole(t)
  const other = await start(t, { ALLOWED_ORIGINS: ALLOWED })
  const name = unique('key')
  const make = await ask('/console/keys', { name })
  const [, draft = ''] = make.at.split('draft=')
  const { id: draft_id } = app.draftBox.open(draft) as { id: string }
  // Both wait at the line of the form, until this one is taken back.
  const trx = await db.startTransaction().execute()
  const line = {
    account_id: admin.id,
    actor_id: admin.id,
    concerns_account: false,
    via: 'console',
    action: 'test',
  } as const
  await trx
    .insertInto('admin_actions')
    .values({ ...line, id: crypto.randomUUID(), draft_id })
    .execute()
  const pressed = [send('/console/change', { draft }), send('/console/change', { draft }, undefined, other.app)]
  try {
    await until(async () => {
      await sql`select pg_stat_clear_snapshot()`.execute(trx)
      return (await sql.raw(WAITING).execute(trx)).rows.length >= 2
    })
  } finally {
    await trx.rollback().execute()
  }
  const answers = await Promise.all(pressed)
  t.strictSame(answers.map(({ statusCode }) => statusCode).toSorted(), [200, 303])
  const late = answers.find(({ statusCode }) => statusCode === 303)
  t.match(late?.headers.location, /^\/console\/change\?draft=/, 'the other one is told so')
  const { keys } = (await admin.get('/api/admin/keys')).json()
  t.equal(keys.filter((key: { name: string }) => key.name === name).length, 1)
})

t.test('what was paid outside has the reference of its payment: once, and the search finds it', async (t) => {
  const { ask, post, open, ada, person, admin } = await atConsole(t)
  const url = `/console/accounts/${ada.id}/credits`
  const reference = unique('TR')
  const paid = { what: 'topup', amount: '50', reference }
  const [give, twin] = [await ask(url, paid), await ask(url, paid)]
  t.match(give.effects, `The entry has the payment reference ${reference}.`)
  await give.done({ reason: 'Bank transfer' })
  for (const again of [await twin.press({ reason: 'Bank transfer' }), await post(url, { ...paid, amount: '49' })]) {
    t.equal(again.statusCode, 400)
    t.match(
      formOf(again.body).fault,
      /^Payment reference is that of an entry of this account already \(50 credits at .*\)/,
    )
  }
  t.match(await ada.balance(), { credits: 50 })
  const { entries } = (await admin.get(`/api/admin/accounts/${ada.id}/entries`)).json()
  t.match(entries, [{ kind: 'topup', amount: 50, reference }])
  t.match((await open(`/console/search?q=${reference}`)).headers.location, `/console/accounts/${ada.id}`)
  const bob = await person()
  await (await ask(`/console/accounts/${bob.id}/credits`, paid)).done({ reason: 'It was theirs' })
  t.match(await bob.balance(), { credits: 50 }, 'of another account')
})

t.test('a secret is shown once, and a reload says so; nobody else reads a draft', async (t) => {
  const { ask, open, app, admin, person, db } = await atConsole(t)
  const slug = unique('app')
  await admin.put(`/api/admin/apps/${slug}`, {})
  const url = 'https://hooks.example.com/in?key=not-in-an-address'
  const add = await ask(`/console/apps/${slug}/webhooks`, { url, events: ['job.failed'] })
  t.match(add.effects, /shown once, on the next page, and a reload does not show it again/)
  t.notMatch(Buffer.from(add.at.split('draft=')[1] ?? '', 'base64url').toString('latin1'), /hooks\.example/)
  t.match((await add.press()).body, /<code class="secret"[^>]*>whsec_/)
  const reloaded = await add.press()
  t.match(reloaded.statusCode, 409)
  t.match(reloaded.body, /was shown once[\s\S]*Where it was not copied, open the endpoint and make a new secret\./)
  t.notMatch(reloaded.body, 'whsec_')
  const endpoints = await db.selectFrom('webhook_endpoints').select('id').where('app_slug', '=', slug).execute()
  t.equal(endpoints.length, 1, 'and adds no other one')

  const key = await ask('/console/keys', { name: slug })
  const twice = await Promise.all([key.press(), key.press()])
  t.strictSame(twice.map(({ statusCode }) => statusCode).toSorted(), [200, 409], 'a double-click makes one key')
  const other = await person('another-admin@example.com')
  const visit = (cookie: string, at: string) => app.inject({ url: at, headers: { cookie, accept: 'text/html' } })
  t.equal((await visit(other.cookie, add.at)).statusCode, 404, 'for who is no administrator there is no such page')
  for (const at of [
    '/console/change',
    '/console/change?draft=x',
    `${add.at.slice(0, 60)}AAAA${add.at.slice(64)}`,
    add.at.slice(0, -4),
  ]) {
    t.match(await open(at), { statusCode: 410, body: /Nothing was changed/ }, at.slice(0, 40))
  }
})

t.test('a form without a session, of another site or about nothing changes nothing', async (t) => {
  const { post, ada } = await atConsole(t)
  const path = `/console/accounts/${ada.id}`
  t.equal(
    (await post(`${path}/credits`, { what: 'take', amount: '1' }, { origin: 'https://evil.example' })).statusCode,
    403,
  )
  t.equal((await post('/console/change', {})).statusCode, 410)
  t.match(await post(`/console/accounts/${crypto.randomUUID()}/close`, {}), { statusCode: 404, body: /Not found/ })
  t.equal((await post('/console/accounts/x/close', {})).statusCode, 404)
})

t.test('a long form is asked about without its values in the address', async (t) => {
  const { send, admin, db } = await atConsole(t)
  const slug = unique('app')
  await admin.put(`/api/admin/apps/${slug}`, {})
  const origins = Array.from({ length: 200 }, () => `https://${crypto.randomUUID()}.example.com`).join('\n')
  const asked = await send(`/console/apps/${slug}/addresses`, { origins })
  t.equal(asked.statusCode, 200)
  const draft = /name="draft" value="([^"]+)"/.exec(asked.body)?.[1] ?? ''
  t.equal((await send('/console/change', { draft })).statusCode, 303)
  const app = await db.selectFrom('apps').select('origins').where('slug', '=', slug).executeTakeFirstOrThrow()
  t.equal(app.origins.length, 200)
  // Later tests would allow them.
  await db
    .updateTable('apps')
    .set({ origins: [], created_at: earlier('created_at', '1 second') })
    .where('slug', '=', slug)
    .execute()
})

t.test('a fault is said by the label of its field, and whole where it is of none', async (t) => {
  const form = { id: 'f', title: 'F', action: '/f', back: '/', fields: [{ name: 'a_b', label: 'Beta' }] }
  const say = (message: string, field?: string) => inLabels(form, { status: 400, message, field })
  t.strictSame(say('a_b must be 1', 'a_b'), { status: 400, field: 'a_b', message: 'Beta must be 1.' })
  t.strictSame(say('Of another kind.', 'c'), { status: 400, message: 'Of another kind.' })
  t.equal(inLabels(undefined, { status: 409, message: 'It is gone' }).message, 'It is gone.')
  t.match(filled(form, { text: () => 'typed' } as never, say('a_b is x', 'a_b')).fields, [
    { value: 'typed', fault: 'Beta is x.' },
  ])
})
