import { sql } from 'kysely'
import t from 'tap'
import { FOCUS, machine, serve, signedIn } from '../support/cli.ts'
import { logIn } from '../support/device.ts'
import { unique } from '../support/start.ts'

const service = await serve(t)
const { app, db, url } = service

/** The same with the kind of each value in its place: what a script may rely on. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.length ? [shape(value[0])] : []
  if (typeof value !== 'object' || value === null) return value === null ? null : typeof value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, shape(part)]))
}

t.test('--json answers keep their shapes', async (t) => {
  const { json, focus, person } = await signedIn(t, service, 'account admin')
  const shapes: Record<string, unknown> = {}
  const note = async (command: string, ...args: string[]) => {
    const answer = await json(...command.split(' '), ...args)
    shapes[command] = shape(answer)
    return answer
  }
  const create = 'jobs create --app video --action render'
  await note('wallet', '--app', 'video')
  const { job_id } = await note(create, '--cost', '5', '--metadata', '{"a":1}')
  await note('jobs heartbeat', job_id)
  await note('jobs complete', job_id, '--cost', '3')
  const grant = ['7', '--reference', unique('gift'), '--reason', 'a gift']
  await note('whoami')
  await note('print-token')
  await note('jobs show', job_id)
  await note('jobs list')
  await note('entries')
  await note('tokens list')
  await note('admin apps set', unique('app'), '--starter-credits', '1', '--origin', 'https://a.example.com')
  await note('admin account', person.clerkId)
  await note('admin grant', (await service.person()).clerkId, ...grant)
  await note('admin verify')
  const refused = await focus([...create.split(' '), '--cost', '1000000', '--json'])
  shapes['an error, on stderr'] = shape(JSON.parse(refused.stderr))
  t.equal(refused.stdout, '')
  t.matchSnapshot(shapes)
})

t.test('an administrator whose token is not for that is told how to get one that is', async (t) => {
  const token = await logIn(app, await service.admin())
  const { code, stderr } = await (await machine(t, { FOCUS_SERVER: url, FOCUS_TOKEN: token })).focus([
    'admin',
    'verify',
  ])
  t.equal(code, 1)
  t.match(stderr, `Log in with this scope: ${FOCUS} login --scope admin\n`)
})

t.test('an administrator sets where sign-ins return to, and sums up what all accounts use', async (t) => {
  const { done, focus, json } = await signedIn(t, service, 'account admin')
  const slug = unique('app')
  const set = (...more: string[]) => json('admin', 'apps', 'set', slug, ...more)
  t.match(await set('--return-path', '/callback', '/projects/'), { app: { return_paths: ['/callback', '/projects/'] } })
  t.match(await done('admin', 'apps', 'set', slug, '--name', 'A'), /^Return paths +\/callback \/projects\/$/m)
  t.match(await set('--no-return-path'), { app: { return_paths: [] } })
  t.match(await done('admin', 'usage', '--by', 'plan'), /^PLAN +JOBS .*\nfree +\d+ /)
  t.match((await focus(['admin', 'usage', '--by', 'token'])).code, 2)
})

t.test('an administrator gives back what a job cost', async (t) => {
  const { done, focus, json, person: admin } = await signedIn(t, service, 'account admin')
  await done('admin', 'grant', admin.clerkId, '9', '--reference', unique('gift'), '--reason', 'a gift')
  const job = (await done('jobs', 'create', '--app', 'clips', '--action', 'render', '--cost', '9')).trim()
  const refund = (...more: string[]) => ['admin', 'refund', job, '--account', admin.id, '--reason', 'black', ...more]
  const early = await focus(refund())
  t.match([early.code, early.stderr], [1, /has not ended/])
  await done('jobs', 'complete', job, '--cost', '9')
  t.match(await json(...refund('--amount', '4')), { entry: { amount: 4, corrects_job_id: job }, refunded: 4 })
  const rest = await focus(refund('--part', '2'))
  t.match([rest.code, rest.stderr], [0, /gave back 5 credits, 9 of this job in all\.$/m])
  const more = await focus(refund('--part', '3', '--amount', '1'))
  t.match([more.code, more.stderr], [1, /0 credits can still be given back/])
  t.match(await done('entries', '--limit', '2'), new RegExp(`adjustment +5 +\\d+ +${job}`), 'beside its job')
  t.match(await done('jobs', 'show', job), /^Refunded +9$/m)
  t.equal((await focus(['admin', 'refund', job, '--reason', 'black'])).code, 2, 'the account is needed')
})

t.test('an administrator registers apps, moves credits and checks the ledger', async (t) => {
  const { done, focus, json, person: admin } = await signedIn(t, service, 'account admin')
  const slug = unique('podcasts')
  t.match(await json('admin', 'apps', 'set', slug, '--name', 'Podcasts'), {
    app: { starter_credits: 0, max_overage: null },
  })
  const origins = ['--origin', 'https://a.example.com', 'https://b.example.com']
  await done('admin', 'apps', 'set', slug, '--name', 'Podcasts', '--starter-credits', '10', ...origins)
  t.match(await json('admin', 'apps', 'set', slug, '--settle-key', 'rotate'), {
    app: {
      name: 'Podcasts',
      starter_credits: 10,
      origins: ['https://a.example.com', 'https://b.example.com'],
      settle_key: String,
    },
  })
  t.match(await done('admin', 'apps', 'set', slug, '--max-overage', '200%'), /^Max\. overage +200 % of the estimate$/m)
  t.match(await json('admin', 'apps', 'set', slug, '--max-overage', '50'), { app: { max_overage: { credits: 50 } } })
  t.match(await json('admin', 'apps', 'set', slug, '--no-max-overage'), {
    app: { max_overage: null, starter_credits: 10 },
  })
  t.match(await json('admin', 'apps', 'set', slug, '--no-origin'), { app: { origins: [], has_settle_key: true } })
  const uris = ['--redirect-uri', 'https://a.example.com/callback', 'http://127.0.0.1/callback']
  t.match(await json('admin', 'apps', 'set', slug, ...uris, '--resource', `https://${slug}.example.com/mcp`), {
    app: { redirect_uris: uris.slice(1), resources: [`https://${slug}.example.com/mcp`] },
  })
  t.match(await json('admin', 'apps', 'set', slug, '--no-redirect-uri', '--no-resource'), {
    app: { redirect_uris: [], resources: [], has_settle_key: true },
  })
  t.match(await done('admin', 'apps', 'list'), new RegExp(`^${slug} +Podcasts +10 +yes$`, 'm'))

  const { credits: before } = await admin.balance()
  const move = (command: string, amount: string, ...more: string[]) =>
    focus(['admin', command, admin.clerkId, amount, '--reference', unique('move'), '--reason', 'a test', ...more])
  t.equal((await move('topup', '100')).code, 0)
  t.match((await move('adjust', '-30')).stderr, /adjustment -30\.$/m, 'a negative amount is no option')
  t.match(await done('admin', 'account', admin.clerkId), new RegExp(`^Credits +${before + 70}$`, 'm'))
  const refused = await move('adjust', '-1000000')
  t.equal(refused.code, 1)
  t.match(refused.stderr, 'Nothing was changed')
  t.match(await done('admin', 'verify'), /^The ledger is consistent: all \d+ checks passed\.$/m)

  await sql`update accounts set credits = credits + 1 where id = ${admin.id}`.execute(db)
  const broken = await focus(['admin', 'verify'])
  await sql`update accounts set credits = credits - 1 where id = ${admin.id}`.execute(db)
  t.equal(broken.code, 1)
  t.match(broken.stdout, /^CHECK +VIOLATIONS\ncredits equal the sum of the entries +1$/m)
  t.match(broken.stdout, admin.id, 'and names the culprit')
  t.match(broken.stdout, /^The account shows and spends another balance .+\nWhat to do: /m)
  t.match(broken.stderr, /^Error: The ledger is broken: \d+ of \d+ checks failed$/m)
})

t.test('an administrator helps somebody by the command line alone', async (t) => {
  const { done, focus, json, person: admin } = await signedIn(t, service, 'account admin')
  const ada = await service.person()
  await done('admin', 'grant', ada.clerkId, '9', '--reference', unique('gift'), '--reason', 'a gift')
  const stuck = (await ada.reserve(4)).json().job_id
  t.match(
    await done('admin', 'accounts', '--search', ada.email),
    new RegExp(`^${ada.id} +user_\\S+ +25 +4 .* email$`, 'm'),
  )
  t.match(await done('admin', 'accounts', '--search', stuck), ada.id)
  t.match(await done('admin', 'account', ada.id), /^Credits +25$/m)
  t.match(await done('admin', 'entries', ada.clerkId), /admin_grant +9 +9 +a gift$/m)
  const page = await focus(['admin', 'entries', ada.clerkId, '--limit', '1'])
  t.match(page.stderr, /^More: .* admin entries user_\S+ --limit 1 --cursor 3$/m)
  t.match(await done('admin', 'jobs', '--account', ada.clerkId, '--status', 'started'), stuck)
  t.match(await done('admin', 'end', stuck, '--reason', 'the worker is gone'), /failed \(ended_by_operator\)/)
  t.match(await done('admin', 'job', stuck), /^Account +[0-9a-f-]{36}$/m)
  for (const list of ['tokens', 'grants', 'purchases'])
    t.match(await focus(['admin', list, ada.clerkId]), { code: 0, stdout: '', stderr: /^No / }, list)
  const unsure = await focus(['admin', 'erase', ada.clerkId, '--reason', 'on request'])
  t.match([unsure.code, unsure.stderr], [2, /cannot be undone/])
  await done('admin', 'close', ada.clerkId, '--reason', 'on request')
  t.match(await json('admin', 'erase', ada.clerkId, '--reason', 'on request', '--yes'), {
    account: { clerk_id: 'erased' },
  })
  const { actions } = await json('admin', 'audit', '--account', ada.id)
  t.strictSame(
    actions.map(({ action, via }: { action: string; via: string }) => `${action} by ${via}`),
    ['eraseAccount', 'closeAccount', 'endJob', 'adjustCredits'].map((action) => `${action} by cli`),
  )
  t.match(await done('admin', 'audit', '--account', ada.id), /endJob +job .* the worker is gone$/m)
  t.match(await done('admin', 'overview'), /^Ledger checked +/m)
  t.match(await json('admin', 'jobs', '--overdue'), { jobs: [], next_cursor: null })
  t.equal((await json('admin', 'audit', '--administrator', admin.id, '--limit', '1')).actions.length, 1)
})

t.test('an administrator sells packs, sees what was bought, and makes keys for servers', async (t) => {
  const { done, focus, json } = await signedIn(t, service, 'account admin')
  const [slug, name] = [unique('pack'), unique('Server')]
  const terms = ['--name', '100 credits', '--credits', '100', '--currency', 'usd']
  t.match(await done('admin', 'packs', 'set', slug, ...terms, '--price', '500'), /^Price +\$5\.00$/m)
  t.match(await done('admin', 'packs', 'list'), new RegExp(`^${slug} +100 credits +100 +\\$5\\.00 `, 'm'))
  const ada = await service.person()
  const { purchase } = (await ada.post('/api/purchases', { pack: slug })).json()
  t.match(await done('admin', 'purchases', '--status', 'open'), new RegExp(`^${purchase.id} .* open `, 'm'))
  t.match(await done('admin', 'purchases', ada.id), purchase.id)
  t.match(await json('admin', 'purchases', '--disputed'), { purchases: [], next_cursor: null })
  t.match(await focus(['admin', 'purchases', ada.id, '--disputed']), { code: 2, stderr: /of all accounts/ })
  await done('admin', 'packs', 'remove', slug)
  t.match(await focus(['admin', 'packs', 'remove', slug]), { code: 1, stderr: /no pack/i })

  const made = await focus(['admin', 'keys', 'create', name])
  t.match(made, { code: 0, stdout: /^focus_key_\w+\n$/, stderr: /shown only once/ })
  const [key] = (await json('admin', 'keys', 'list')).keys.filter((one: { name: string }) => one.name === name)
  t.match(await done('admin', 'keys', 'list'), new RegExp(`^${key.id} +${name} +${key.last_four} +topup`, 'm'))
  t.strictSame(await json('admin', 'keys', 'revoke', key.id), { revoked: key.id })
  t.equal((await focus(['admin', 'keys', 'revoke', key.id])).code, 1)
})
