import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import t from 'tap'
import { machine, serve, signedIn } from './support/cli.ts'
import { logIn } from './support/device.ts'
import { unique } from './support/start.ts'

t.jobs = 3

const service = await serve(t, { TOPUP_URL: 'https://example.com/topup' })
const { app, db, url } = service

/** The same with the kind of each value in its place: what a script may rely on. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.length ? [shape(value[0])] : []
  if (typeof value !== 'object' || value === null) return value === null ? null : typeof value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, shape(part)]))
}

t.test('a job from its reservation to its end, and what it leaves in the wallet', async (t) => {
  const { focus, done, json, home, person } = await signedIn(t, service)
  t.match(await done('wallet', '--app', 'video'), /^Credits {2}20\nHeld {5}0\n[\s\S]*\nvideo +20 +\d{4}-/m)

  const created = await focus(['jobs', 'create', '--app', 'video', '--action', 'render', '--cost', '5', '--ttl', '600'])
  t.match(created.stdout, /^[0-9a-f-]{36}\n$/, 'its id and nothing else: a script can keep it')
  t.match(created.stderr, /^Reserved 5 credits until \d{4}-/)
  const id = created.stdout.trim()
  t.match(await done('jobs', 'show', id), /^Status +started$/m)
  t.match(await done('jobs', 'heartbeat', id), /^The hold lives until /)
  await writeFile(join(home, 'metadata.json'), '{"durationMs":1200}')
  const completed = await done('jobs', 'complete', id, '--cost', '3', '--metadata', '@metadata.json')
  t.match(completed, /^Moved +\+2 \(job_refund\)\nCredits +17\nHeld +0$/m)
  t.match(await done('jobs', 'show', id), /^Metadata +\{"durationMs":1200\}$/m)
  t.match(
    await done('jobs', 'list', '--status', 'completed'),
    new RegExp(`^${id} +video +render +completed +3 +\\d\\d-`, 'm'),
  )
  t.match(await done('entries'), /^ *3 .* job_refund +2 +17 /m)

  const other = (await done('jobs', 'create', '--app', 'video', '--action', 'x', '--cost', '4')).trim()
  t.match(await json('jobs', 'fail', other, '--no-refund'), { moved: null, credits: 13 })
  const again = await focus(['jobs', 'fail', other])
  t.equal(again.code, 1)
  t.match(again.stderr, /^Error: This job is failed already/)
  t.strictSame(await person.balance(), { credits: 13, held: 0 })
})

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
  await Promise.all([
    note('whoami'),
    note('print-token'),
    note('jobs show', job_id),
    note('jobs list'),
    note('entries'),
    note('tokens list'),
    note('admin apps set', unique('app'), '--starter-credits', '1', '--origin', 'https://a.example.com'),
    note('admin account', person.clerkId),
    note('admin grant', (await service.person()).clerkId, ...grant),
    note('admin verify'),
  ])
  const refused = await focus([...create.split(' '), '--cost', '1000000', '--json'])
  shapes['an error, on stderr'] = shape(JSON.parse(refused.stderr))
  t.equal(refused.stdout, '')
  t.matchSnapshot(shapes)
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
  const short = await focus(['jobs', 'create', '--app', 'video', '--action', 'x', '--cost', '5'])
  t.equal(short.code, 1)
  t.equal(
    short.stderr,
    'Error: This needs 5 credits; 0 are available.\n5 credits are missing. Buy more: https://example.com/topup\n',
  )
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
  t.equal(
    none.stderr,
    `Error: You are not signed in to ${url}\nSign in: npx @thefocus/focus-cli login --server ${url}\n`,
  )
  await computer.keep(url, token)
  const kept = await computer.focus(['wallet'])
  t.equal(kept.code, 4)
  t.match(kept.stderr, /revoked[\s\S]*\nSign in again: npx @thefocus\/focus-cli login\n$/)
  t.match(await computer.focus(['logout']), { code: 0 }, 'what is revoked already can be forgotten')
  await computer.keep(url, token, new Date(Date.now() - 1000).toISOString())
  for (const command of ['wallet', 'print-token']) {
    const expired = await computer.focus([command])
    t.match(expired, { code: 4, stdout: '' })
    t.match(expired.stderr, /has expired\nSign in again: npx @thefocus\/focus-cli login\n$/)
  }
})

t.test('lists go on where they end, and tell how', async (t) => {
  const { done, focus, person } = await signedIn(t, service)
  await person.get('/api/wallet?app=video')
  for (const cost of [1, 2, 3]) await person.reserve(cost)
  const first = await focus(['jobs', 'list', '--app', 'video', '--limit', '2'])
  const [, cursor = ''] =
    /^Older ones: npx @thefocus\/focus-cli jobs list --app video --limit 2 --cursor (\S+)\n$/.exec(first.stderr) ?? []
  t.match(await done('jobs', 'list', '--app', 'video', '--cursor', cursor), /^ID.*\n[^\n]+ 1 +\d\d-[^\n]+\n$/)
  t.match(await done('entries', '--csv', '--limit', '1'), /^seq,created_at,kind,.*\r?\n4,/)
  t.match(await done('tokens', 'list'), /^[0-9a-f-]{36} \* +ada-laptop +account /m)
})

t.test('an administrator whose token is not for that is told how to get one that is', async (t) => {
  const token = await logIn(app, await service.admin())
  const { code, stderr } = await (await machine(t, { FOCUS_SERVER: url, FOCUS_TOKEN: token })).focus([
    'admin',
    'verify',
  ])
  t.equal(code, 1)
  t.match(stderr, 'Ask for it: npx @thefocus/focus-cli login --scope admin\n')
})

// The others would find the ledger broken.
t.test('an administrator registers apps, moves credits and checks the ledger', { buffered: false }, async (t) => {
  const { done, focus, json, person: admin } = await signedIn(t, service, 'account admin')
  const slug = unique('podcasts')
  const unregistered = await focus(['admin', 'apps', 'set', slug, '--name', 'Podcasts'])
  t.equal(unregistered.code, 2)
  t.match(unregistered.stderr, '--starter-credits')
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
  t.match(await json('admin', 'apps', 'set', slug, '--no-origin'), { app: { origins: [], has_settle_key: true } })
  t.match(await done('admin', 'apps', 'list'), new RegExp(`^${slug} +Podcasts +10 +yes$`, 'm'))

  const { credits: before } = await admin.balance()
  const move = (command: string, amount: string, ...more: string[]) =>
    focus(['admin', command, admin.clerkId, amount, '--reference', unique('move'), '--reason', 'a test', ...more])
  t.equal((await move('topup', '100')).code, 0)
  t.match((await move('adjust', '-30')).stderr, /adjustment -30\.$/m, 'a negative amount is no option')
  t.match(await done('admin', 'account', admin.clerkId), new RegExp(`^Credits +${before + 70}$`, 'm'))
  const refused = await move('adjust', '-1000000')
  t.equal(refused.code, 1)
  t.match(refused.stderr, 'nothing was moved')
  t.match(await done('admin', 'verify'), /^The ledger is right: all 10 checks hold\.$/m)

  await sql`update accounts set credits = credits + 1 where id = ${admin.id}`.execute(db)
  const broken = await focus(['admin', 'verify'])
  await sql`update accounts set credits = credits - 1 where id = ${admin.id}`.execute(db)
  t.equal(broken.code, 1)
  t.match(broken.stdout, /^CHECK +VIOLATIONS\ncredits equal the sum of the entries +1$/m)
  t.match(broken.stdout, admin.id, 'and names the culprit')
  t.match(broken.stderr, /^Error: The ledger is broken: \d of 10 checks do not hold$/m)
})
