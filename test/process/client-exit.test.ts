import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { serve } from '../support/cli.ts'
import { personWith } from '../support/start.ts'

const library = fileURLToPath(new URL('../../client/src/index.ts', import.meta.url))
/** A worker that never ends by itself. One job has said a cost, the other none. */
const WORKER = `
const { createFocus } = await import(process.env.LIBRARY)
const focus = createFocus({ url: process.env.URL, token: process.env.TOKEN })
const render = { app: 'clips', action: 'render', estimate: 5 }
const never = new Promise(() => setInterval(() => {}, 1_000))
let begun = 0
const work = (cost) => (job) => {
  if (cost) job.cost(cost)
  if (++begun === 2) console.log('begun')
  return never
}
await Promise.allSettled([focus.withHold(render, work(3)), focus.withHold(render, work())])
setInterval(() => {}, 1_000)
`

t.test('a worker that gets SIGTERM settles its jobs and ends by the signal, within five seconds', async (t) => {
  const { url, app } = await serve(t)
  const person = await personWith(app, 100)
  const worker = spawn(process.execPath, ['--input-type=module', '--eval', WORKER], {
    // Nothing of the test run's own: tap puts its hooks into NODE_OPTIONS, and they listen for SIGTERM.
    env: { PATH: process.env.PATH, NODE_OPTIONS: '', LIBRARY: library, URL: url, TOKEN: person.token },
  })
  t.teardown(() => worker.kill('SIGKILL'))
  worker.stderr.on('data', (text) => t.comment(String(text)))
  await once(worker.stdout, 'data')
  t.equal((await person.balance()).held, 10)
  const from = performance.now()
  worker.kill('SIGTERM')
  const [code, signal] = await once(worker, 'exit')
  t.strictSame([code, signal], [null, 'SIGTERM'])
  const took = performance.now() - from
  t.ok(took < 5_500, `${Math.round(took)} ms`)
  t.same(await person.balance(), { credits: 97, held: 0 })
})
