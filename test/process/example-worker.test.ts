import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { openQueue } from '../../examples/worker/queue.ts'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import { localClerkId } from '../../src/identity/local.ts'
import { freePort } from '../support/free-port.ts'
import { temporaryFolder } from '../support/process.ts'
import { earlier, startOwn } from '../support/start.ts'

const START = fileURLToPath(new URL('../../examples/worker/start.ts', import.meta.url))

t.setTimeout(240_000)

/** A service, and the worker of examples/worker as a process beside it. */
async function workerAt(t: Test, titles: string[], stepMs: number) {
  const port = await freePort()
  const url = `http://localhost:${port}`
  const service = await startOwn(t, { PORT: String(port), PUBLIC_URL: url })
  await service.app.listen({ port, host: '127.0.0.1' })
  const folder = await temporaryFolder(t)
  const lines: string[] = []

  /** Runs it until it ends. `seen` gets each of its lines and may end it. */
  async function run(seen: (line: string, kill: (signal?: NodeJS.Signals) => void) => void = () => {}) {
    const env = { PATH: process.env.PATH, FOCUS_URL: url, DATA_DIR: folder, STEP_MS: String(stepMs) }
    const child = spawn(process.execPath, [START, ...titles], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface(child.stdout).on('line', (line) => {
      lines.push(line)
      seen(line, (signal = 'SIGKILL') => child.kill(signal))
    })
    const [code, signal] = await once(child, 'close')
    return { code, signal }
  }
  const orders = () => openQueue(`${folder}/queue.sqlite`).orders()
  return { ...service, run, orders, lines }
}

t.test('a worker that is killed a dozen times loses nothing and charges each order once', async (t) => {
  const titles = Array.from({ length: 30 }, (_, n) => String.fromCharCode(65 + n).repeat(1 + (n % 10)))
  const { admin, db, run, orders, lines } = await workerAt(t, titles, 30)
  const operator = await admin()
  const given = { kind: 'admin_grant', reference: 'for films', reason: 'for a test', create: true }
  const ada = (
    await operator.post('/api/admin/credits', { clerk_id: localClerkId('ada@example.com'), amount: 900, ...given })
  ).json()
  t.equal(ada.account.credits, 900)

  let kills = 0
  for (let attempt = 0; kills < 12 && attempt < 40; attempt++) {
    const after = Math.random() * 600
    const { signal } = await run(async (line, kill) => {
      // At first while orders are taken, later while films are rendered and paid for.
      if (!line.endsWith(attempt < 3 ? 'ordered' : 'rendering')) return
      await sleep(attempt < 3 ? after / 10 : after)
      kill(attempt % 2 ? 'SIGKILL' : 'SIGTERM')
    })
    if (signal) kills++
  }
  t.equal(kills, 12)
  t.match(await run(), { code: 0 })

  const rows = orders()
  t.strictSame(
    rows.map(({ title, state, cost }) => ({ title, state, cost })).sort(byTitle),
    titles.map(paid).sort(byTitle),
  )
  t.ok(lines.filter((line) => line.endsWith('rendering')).length > titles.length, 'some work was done twice')
  const jobs = await db.selectFrom('jobs').select(['id', 'status', 'actual_cost']).execute()
  t.strictSame(
    jobs.map(({ id, status, actual_cost }) => ({ id, status, actual_cost })).sort(byId),
    rows.map(({ job_id, cost }) => ({ id: job_id, status: 'completed', actual_cost: cost })).sort(byId),
    'no job but those of the queue',
  )
  const { credits, held } = (
    await operator.get(`/api/admin/accounts?clerk_id=${localClerkId('ada@example.com')}`)
  ).json().account
  t.strictSame({ credits, held }, { credits: 1_000 - titles.join('').length, held: 0 })
})

t.test('an order whose hold ran out while no worker was there is not paid, and not rendered for nothing', async (t) => {
  const { app, db, run, orders, lines } = await workerAt(t, ['Stalker'], 5_000)
  await run((line, kill) => line.endsWith('rendering') && kill())
  t.match(orders(), [{ state: 'held' }])
  await db
    .updateTable('jobs')
    .set({ expires_at: earlier('expires_at', '2 hours') })
    .where('id', '=', orders()[0]?.job_id ?? '')
    .execute()
  await sweepHolds(db, app.ledger)
  lines.length = 0
  t.match(await run(), { code: 0 })
  t.match(orders(), [{ state: 'unpaid', cost: 0 }])
  t.match(lines.at(-1), /unpaid, 0 credits/)
})

const paid = (title: string) => ({ title, state: 'paid', cost: title.length })
const byTitle = (one: { title: string }, other: { title: string }) => (one.title < other.title ? -1 : 1)
const byId = (one: { id: string }, other: { id: string }) => (one.id < other.id ? -1 : 1)
