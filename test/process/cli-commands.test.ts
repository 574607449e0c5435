import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { allow } from '../../src/oauth/grants.ts'
import { FOCUS, machine, serve, signedIn } from '../support/cli.ts'
import { logIn } from '../support/device.ts'
import { openGate } from '../support/gate.ts'
import { unique } from '../support/start.ts'

const service = await serve(t, { TOPUP_URL: 'https://example.com/topup' })
const { app, url } = service

t.test('a job from its reservation to its end, and what it leaves in the wallet', async (t) => {
  const { focus, done, json, home, person } = await signedIn(t, service)
  t.match(await done('wallet', '--app', 'video'), /^Credits {2}20\nHeld {5}0\n[\s\S]*\nvideo +20 +\d{4}-/m)

  const created = await focus(['jobs', 'create', '--app', 'video', '--action', 'render', '--cost', '5', '--ttl', '600'])
  t.match(created.stdout, /^[0-9a-f-]{36}\n$/, 'its id and nothing else: a script can keep it')
  t.match(created.stderr, /^Reserved 5 credits until \d{4}-\d\d-\d\d \d\d:\d\d \S+\.$/m)
  const id = created.stdout.trim()
  t.match(await done('jobs', 'show', id), /^Status +started$/m)
  t.match(await done('jobs', 'heartbeat', id), /^The hold now expires at \d{4}-/)
  await writeFile(join(home, 'metadata.json'), '{"durationMs":1200}')
  const completed = await done('jobs', 'complete', id, '--cost', '3', '--metadata', '@metadata.json')
  t.match(completed, /^Moved +\+2 \(job_refund\)\nCredits +17\nHeld +0$/m)
  t.match(await done('jobs', 'show', id), /^Metadata +\{"durationMs":1200\}$/m)
  t.match(
    await done('jobs', 'list', '--status', 'completed'),
    new RegExp(`^${id} +video +render +completed +3 +\\d{4}-`, 'm'),
  )
  t.match(await done('entries'), /^ *3 .* job_refund +2 +17 /m)

  const other = (await done('jobs', 'create', '--app', 'video', '--action', 'x', '--cost', '4')).trim()
  t.match(await json('jobs', 'fail', other, '--no-refund', '--metadata', '{"error":"disk full"}'), {
    job: { metadata: { error: 'disk full' } },
    moved: null,
    credits: 13,
  })
  const again = await focus(['jobs', 'fail', other])
  t.equal(again.code, 1)
  t.match(again.stderr, /^Error: This job is already failed/)
  t.strictSame(await person.balance(), { credits: 13, held: 0 })
})

t.test('where credits went: sums, lists by filters, and the whole history as CSV', async (t) => {
  const { focus, done, json, person, token } = await signedIn(t, service)
  await done('wallet', '--app', 'video')
  const create = async (app: string, cost: string) =>
    (await done('jobs', 'create', '--app', app, '--action', 'render', '--cost', cost)).trim()
  const [first, second] = [await create('video', '6'), await create('audio', '2')]
  await done('jobs', 'complete', first, '--cost', '4')
  const used = await focus(['usage', '--by', 'app,day'])
  t.match(
    used.stdout,
    /^APP +DAY +JOBS +COMPLETED +FAILED +CREDITS +HELD\nvideo +[\d-]{10} +1 +1 +0 +4 +0\naudio +[\d-]{10} +1 +0 +0 +0 +2\n$/,
  )
  t.match(used.stderr, /^From [\d-]{10} until before [\d-]{10} \(UTC\): 2 jobs, 4 credits, and 2 held\.\n$/)
  t.match(await done('usage', '--by', 'token'), new RegExp(`^ada-laptop …${token.slice(-4)} +2 `, 'm'))
  t.match(await done('usage', '--csv'), /^app,jobs,completed,failed,credits,held\nvideo,1,/)
  t.match(await json('usage', '--from', '2026-01-01', '--to', '2026-02-01'), { rows: [], total: { jobs: 0 } })
  const wrong = await focus(['usage', '--by', 'plan'])
  t.match([wrong.code, wrong.stderr], [2, /group_by/])

  const [{ id: mine }] = (await person.get('/api/tokens')).json().tokens
  const listed = await focus(['jobs', 'list', '--token', mine, '--from', '2026-01-01', '--limit', '1'])
  t.match(listed.stdout, second)
  t.match(listed.stderr, `jobs list --token ${mine} --from 2026-01-01 --limit 1 --cursor ${second}\n`)
  t.match(await done('entries', '--kind', 'job_refund'), /^ *\d+ +.* job_refund +2 /m)
  const older = await focus(['entries', '--app', 'video', '--limit', '1'])
  t.match(older.stderr, /entries --app video --limit 1 --cursor \d+\n/, 'the hint keeps the filters')
  t.equal((await focus(['entries', '--token', '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'])).stderr, 'No entries.\n')
  // Reading the output as text has dropped the byte order mark.
  const csv = await done('entries', '--csv')
  t.match(csv, /^seq,.*,app,action\n4,.*,video,render\n3,.*,audio,render\n2,.*\n1,.*,video,\n$/)
})

t.test('an export that breaks off says that it is incomplete', async (t) => {
  const gate = await openGate(t, url, (_, reply) => {
    reply.writeHead(200, { 'content-type': 'text/csv' })
    reply.write('seq,created_at\n2,now\n', () => reply.destroy())
    return true
  })
  const { focus } = await machine(t, { FOCUS_SERVER: gate.url, FOCUS_TOKEN: await logIn(app, await service.person()) })
  const cut = await focus(['entries', '--csv'])
  t.match(cut, {
    code: 1,
    stdout: 'seq,created_at\n2,now\n',
    stderr: /^Error: The connection broke .*, so the export is incomplete/,
  })
})

t.test("an app's server settles with its key alone", async (t) => {
  const [ada, root, slug, computer] = [
    await service.person(),
    await service.admin(),
    unique('keyed'),
    await machine(t, { FOCUS_SERVER: url }),
  ]
  const set = await root.put(`/api/admin/apps/${slug}`, { starter_credits: 10, settle_key: 'rotate' })
  const { settle_key } = set.json().app
  await ada.get(`/api/wallet?app=${slug}`)
  const token = await logIn(app, ada)
  const create = ['jobs', 'create', '--app', slug, '--action', 'x', '--cost', '5']
  const id = (await computer.focus(create, { FOCUS_TOKEN: token })).stdout.trim()
  const withoutKey = await computer.focus(['jobs', 'complete', id, '--cost', '0'], { FOCUS_TOKEN: token })
  t.equal(withoutKey.code, 1)
  t.match(withoutKey.stderr, 'FOCUS_APP_KEY')
  const settled = await computer.focus(['jobs', 'complete', id, '--cost', '2', '--account', ada.id], {
    FOCUS_APP_KEY: settle_key,
  })
  t.equal(settled.code, 0, settled.stderr)
  t.strictSame(await ada.balance(), { credits: 8, held: 0 })
})

t.test('what is missing is said with 402, 403 and 401, and each has its exit code', async (t) => {
  const { focus, token } = await signedIn(t, service)
  const short = await focus(['jobs', 'create', '--app', unique('unregistered'), '--action', 'x', '--cost', '5'])
  t.equal(short.code, 1)
  t.match(
    short.stderr,
    /^Error: This needs 5 credits; you have 0 credits\.\n5 more credits are needed\. Buy more: https:\/\/example\.com\/topup, or \S.* buy\n$/,
  )
  t.equal((await focus(['buy'])).stdout, 'https://example.com/topup\n')
  t.strictSame(JSON.parse((await focus(['buy', '--json'])).stdout), { buy_url: 'https://example.com/topup' })
  const scope = await focus(['admin', 'verify'])
  t.equal(scope.code, 1)
  t.match(scope.stderr, 'Only an administrator may do this.')

  const revoking = await focus(['tokens', 'revoke', 'current'])
  t.match(revoking, { code: 0, stdout: 'Revoked the token of this login.\n' })
  const revoked = await focus(['whoami'])
  t.equal(revoked.code, 4)
  t.match(revoked.stderr, /^Error: This token was revoked[\s\S]*FOCUS_TOKEN/)

  const computer = await machine(t)
  const none = await computer.focus(['wallet', '--server', url])
  t.equal(none.code, 4)
  t.equal(none.stderr, `Error: You are not signed in to ${url}\nSign in: ${FOCUS} login --server ${url}\n`)
  await computer.keep(url, token)
  const kept = await computer.focus(['wallet'])
  t.equal(kept.code, 4)
  t.match(kept.stderr, /revoked[\s\S]*\nSign in again: node \S+focus\.js login\n$/)
  t.match(await computer.focus(['logout']), { code: 0 }, 'what is revoked already can be forgotten')
  await computer.keep(url, token, new Date(Date.now() - 1000).toISOString())
  for (const command of ['wallet', 'print-token']) {
    const expired = await computer.focus([command])
    t.match(expired, { code: 4, stdout: '' })
    t.match(expired.stderr, /has expired\nSign in again: node \S+focus\.js login\n$/)
  }
})

t.test('what programs may spend is listed, changed and revoked', async (t) => {
  const { focus, done, json, person } = await signedIn(t, service)
  t.match((await focus(['grants', 'list'])).stderr, 'You have allowed no program.')
  const client_id = 'https://assistant.example.com/client.json'
  const asked = { account_id: person.id, client_id, app_slug: 'video', resource: null, scopes: ['spend' as const] }
  const id = await allow(app, asked, { amount: 50, period: 'month' })
  t.match(await done('grants', 'list'), new RegExp(`^${id} +${client_id} +video +spend +0 of 50 a month$`, 'm'))
  t.equal(await done('grants', 'set', id, '--budget', '80', '--period', 'day'), `${client_id}: 0 of 80 a day\n`)
  t.match(await json('grants', 'set', id, '--no-period'), { grant: { budget: 80, period: null } })
  t.equal(await done('grants', 'set', id, '--no-budget'), `${client_id}: no limit\n`)
  t.match(await focus(['grants', 'set', id]), { code: 2, stderr: /Nothing to change/ })
  t.equal(await done('grants', 'revoke', id), `Revoked ${id}.\n`)
  t.match(await focus(['grants', 'set', id, '--budget', '1']), {
    code: 1,
    stderr: /^Error: You have allowed no program/,
  })
})

t.test('a time has its year and time zone', async (t) => {
  const { focus, done, person } = await signedIn(t, service)
  await person.get('/api/wallet?app=video')
  const id = (await done('jobs', 'create', '--app', 'video', '--action', 'x', '--cost', '1')).trim()
  for (const [TZ, zone] of Object.entries({ UTC: 'UTC', 'Asia/Kolkata': '\\+05:30', 'America/Phoenix': '-07:00' })) {
    const { stdout } = await focus(['jobs', 'show', id], { TZ })
    t.match(stdout, new RegExp(`^Created +\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d ${zone}$`, 'm'))
  }
  const listed = await focus(['jobs', 'list'], { TZ: 'Asia/Kolkata' })
  t.match(listed.stdout, / \d{4}-\d\d-\d\d \d\d:\d\d \+05:30$/m)
})

t.test('lists go on where they end, and tell how', async (t) => {
  const { done, focus, person } = await signedIn(t, service)
  await person.get('/api/wallet?app=video')
  for (const cost of [1, 2, 3]) await person.reserve(cost)
  const first = await focus(['jobs', 'list', '--app', 'video', '--limit', '2'])
  t.match(first.stderr, 'Older jobs: ')
  const [, cursor = ''] =
    /^Older jobs: node \S+focus\.js jobs list --app video --limit 2 --cursor (\S+)\n$/.exec(first.stderr) ?? []
  t.match(await done('jobs', 'list', '--app', 'video', '--cursor', cursor), /^ID.*\n[^\n]+ 1 +\d{4}-[^\n]+\n$/)
  t.match(await done('entries', '--csv', '--limit', '1'), /^seq,created_at,kind,.*\r?\n4,/)
  t.match(await done('tokens', 'list'), /^[0-9a-f-]{36} \* +ada-laptop +account /m)
})

t.test('a token is made, listed with what is left of its budget, and changed', async (t) => {
  const { focus, done } = await signedIn(t, service)
  const made = await focus([
    ...'tokens create --name ci --budget 50 --period day'.split(' '),
    '--app',
    'video',
    '--app',
    'clips',
  ])
  t.match(made, { code: 0, stdout: /^focus_pat_[0-9A-Za-z]{49}\n$/, stderr: /not shown again.* id is [0-9a-f-]{36}/s })
  const ci = { FOCUS_TOKEN: made.stdout.trim(), FOCUS_SERVER: url }
  t.equal((await focus(['whoami'], ci)).code, 0)
  const refused = await focus('jobs create --app audio --action render --cost 1'.split(' '), ci)
  t.match(refused, { code: 1, stderr: /may spend at video, clips only/ })
  const { token, id } = JSON.parse(await done('tokens', 'create', '--name', 'x', '--expires', '2d', '--json'))
  t.match(token, /^focus_pat_/)
  t.match(
    await done('tokens', 'change', id, '--budget', '9', '--app', 'video'),
    /Budget +0 of 9 credits\n.*Apps +video/s,
  )
  t.match(await done('tokens', 'list'), /0 of 50 credits a day/)
  t.match(JSON.parse(await done('tokens', 'change', id, '--no-app', '--no-budget', '--json')), {
    token: { budget: null, apps: null },
  })
  t.match(await focus(['tokens', 'change', id]), { code: 2, stderr: /Nothing to change/ })
})
