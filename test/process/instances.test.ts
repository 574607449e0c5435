import pg from 'pg'
import t from 'tap'
import { readConfig } from '../../src/config.ts'
import { connect } from '../../src/db/connect.ts'
import { verify } from '../../src/ledger/verify.ts'
import { Model, type ModelJob } from '../support/model.ts'
import { LISTENING, launch } from '../support/process.ts'
import { databaseUrl } from '../support/start.ts'

// Four starts of the whole service, on a slow machine.
t.setTimeout(240_000)

const INSTANCES = 4
const CLIENTS = 8
const STEPS = 24
/** What people do on the account that all clients share, at the same time */
const SHARED = 96
const PUBLIC_URL = 'http://localhost:3000'

/** A client that rotates instances. */
async function client(instances: string[], email: string) {
  const body = new URLSearchParams({ email })
  const reply = await fetch(`${instances[0]}/signin`, {
    method: 'POST',
    body,
    redirect: 'manual',
    headers: { origin: PUBLIC_URL },
  })
  const cookie = reply.headers.getSetCookie()[0]?.split(';', 1)[0] ?? ''
  let turn = email.length
  async function ask(path: string, payload?: object, headers: Record<string, string> = {}) {
    const answer = await fetch(`${instances[turn++ % instances.length]}${path}`, {
      headers: { cookie, origin: PUBLIC_URL, 'content-type': 'application/json', ...headers },
      ...(payload && { method: 'POST', body: JSON.stringify(payload) }),
    })
    // biome-ignore lint/suspicious/noExplicitAny: whatever the answer is, the test says what it has to be
    return { status: answer.status, body: (await answer.json()) as any }
  }
  const { account } = (await ask('/api/wallet?app=video')).body
  return { id: account.id as string, clerkId: account.clerk_id as string, ask }
}

t.test('four instances on one database answer correctly, and the ledger verifies', async (t) => {
  const DATABASE_URL = await databaseUrl()
  const env = { DATABASE_URL, PUBLIC_URL, DATABASE_POOL_SIZE: '3', RATE_LIMIT_MAX: '100000' }
  const services = await Promise.all(Array.from({ length: INSTANCES }, () => launch(t, env)))
  await Promise.all(services.map((service) => service.said(LISTENING)))
  const instances = services.map(({ port }) => `http://localhost:${port}`)
  const admin = await client(instances, 'admin@example.com')
  const people = await Promise.all(
    Array.from({ length: CLIENTS }, (_, n) => client(instances, `${'x'.repeat(n + 1)}@example.com`)),
  )
  const shared = await client(instances, 'everybody@example.com')

  const credit = (clerk_id: string, amount: number, reference: string) =>
    admin.ask('/api/admin/credits', { clerk_id, amount, kind: 'topup', reference, reason: 'bought' })
  const job = (cost_estimate: number) => ({ app: 'video', action: 'render', cost_estimate })

  /** One after the other, each at another instance, and each answered as the model says. */
  async function live(person: (typeof people)[number], seed: number): Promise<void> {
    const model = new Model()
    model.visit('video', 20)
    for (let step = 0; step < STEPS; step++) {
      const open: ModelJob | undefined = model.jobs.at(-1)
      const cost = (seed * 7 + step * 5) % 13
      const what = (seed + step) % 6
      const settled = { job_id: open?.id, actual_cost: cost }
      const [answer, expected] =
        what === 0 || !open
          ? [
              await person.ask('/api/jobs', job(cost), { 'idempotency-key': `${step}` }),
              model.reserve(cost, { key: `${step}` }),
            ]
          : what === 1
            ? [await credit(person.clerkId, cost + 1, `step ${step}`), model.adjust(cost + 1, `step ${step}`)]
            : what === 2
              ? [await person.ask(`/api/jobs/${open.id}/heartbeat`, {}), model.heartbeat(open)]
              : what === 3
                ? [await person.ask('/api/jobs/complete', settled), model.complete(open, cost)]
                : what === 4
                  ? [await person.ask('/api/jobs/complete', settled), model.complete(open, cost)]
                  : [await person.ask('/api/jobs/fail', { job_id: open.id }), model.fail(open, true)]
      t.equal(answer.status, expected, `${seed}/${step}: ${JSON.stringify(answer.body)}`)
      const made = model.jobs.at(-1)
      if (made && !made.id) made.id = answer.body.job_id
    }
    const { account } = (await person.ask('/api/wallet')).body
    t.strictSame([account.credits, account.held], [model.credits, model.held], `${seed}: the balance`)
  }

  /** All at once on one account: of 20 credits, holds of 1 that end at 1; what is too much is 402. */
  async function crowd(): Promise<void> {
    const made = await Promise.all(Array.from({ length: SHARED }, () => shared.ask('/api/jobs', job(1))))
    const ids = made.filter(({ status }) => status === 200).map(({ body }) => body.job_id)
    t.equal(ids.length, 20)
    t.equal(made.filter(({ status }) => status === 402).length, SHARED - 20)
    const ends = await Promise.all(
      [...ids, ...ids].map((job_id) => shared.ask('/api/jobs/complete', { job_id, actual_cost: 1 })),
    )
    t.ok(
      ends.every(({ status }) => status === 200),
      'a repeat is answered as the first',
    )
    const { account } = (await shared.ask('/api/wallet')).body
    t.match(account, { credits: 0, held: 0 })
  }

  await Promise.all([crowd(), ...people.map((person, n) => live(person, n))])

  t.match((await admin.ask('/api/admin/verify')).body, { ok: true })
  const { database } = readConfig({ DATABASE_URL })
  const db = await connect(database, { lostConnection: () => {}, lostFolder: () => {} })
  t.teardown(() => db.destroy())
  t.match(await verify(db), { ok: true })
  for (const service of services) service.kill('SIGTERM')
  for (const service of services) t.match(await service.closed, { code: 0 })
})

t.test('an instance that freezes in the middle of a posting holds its rivals up for a second', async (t) => {
  const DATABASE_URL = await databaseUrl()
  const services = await Promise.all(Array.from({ length: 2 }, () => launch(t, { DATABASE_URL, PUBLIC_URL })))
  await Promise.all(services.map((service) => service.said(LISTENING)))
  const [frozen, rival] = services.map(({ port }) => `http://localhost:${port}`) as [string, string]
  const at = (instance: string) => client([instance], 'ada@example.com')
  const [ada, same] = [await at(frozen), await at(rival)]
  const job = { app: 'video', action: 'render', cost_estimate: 0 }
  const { job_id } = (await ada.ask('/api/jobs', job)).body
  await same.ask('/api/jobs', job)

  // Its transaction has locked the account, and waits for the table of jobs.
  const operator = new pg.Client({ connectionString: DATABASE_URL })
  await operator.connect()
  t.teardown(() => operator.end())
  await operator.query('begin')
  await operator.query('lock table jobs in access exclusive mode')
  const ending = ada.ask('/api/jobs/complete', { job_id, actual_cost: 0 })
  const waiting = `select from pg_stat_activity where datname = current_database() and application_name = 'focus-api'
    and wait_event_type = 'Lock'`
  while ((await operator.query(waiting)).rowCount === 0) await operator.query('select pg_stat_clear_snapshot()')
  services[0]?.kill('SIGSTOP')
  await operator.query('commit')

  const began = performance.now()
  const answer = await same.ask('/api/jobs', job)
  const waited = performance.now() - began
  services[0]?.kill('SIGCONT')
  t.equal(answer.status, 200)
  t.ok(waited < 3_500, `${Math.round(waited)} ms, where a statement may take 4,500`)
  t.match(await ending, { status: 200, body: { job: { status: 'completed' } } }, 'and it is posted again')
  for (const service of services) service.kill('SIGTERM')
  for (const service of services) t.match(await service.closed, { code: 0 })
})
