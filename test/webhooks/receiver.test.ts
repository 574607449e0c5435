import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { freePort } from '../support/free-port.ts'
import { deliverDue, hooked } from '../support/receiver.ts'
import { until } from '../support/until.ts'

t.test('the receiver of docs/api.md takes what is signed, once, and nothing else', async (t) => {
  const page = await readFile('docs/api.md', 'utf8')
  const [, code = ''] = /```js\n(\/\/ npm install standardwebhooks;.*?)```/s.exec(page) ?? []
  t.ok(code.trimEnd().split('\n').length <= 20, 'of twenty lines')

  const port = await freePort()
  const url = `http://127.0.0.1:${port}/hooks`
  const { ada, db, messages, operator, path, reserve, secret, settle } = await hooked(t, undefined, { url })
  const run = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    env: { PATH: process.env.PATH, PORT: String(port), WEBHOOK_SECRET: secret },
  })
  t.teardown(() => run.kill('SIGKILL'))
  let printed = ''
  run.stdout.on('data', (text) => {
    printed += text
  })
  run.stderr.on('data', (text) => t.comment(String(text)))
  const forged = () =>
    fetch(url, {
      method: 'POST',
      body: '{}',
      headers: { 'webhook-id': 'x', 'webhook-timestamp': '1', 'webhook-signature': 'v1,x' },
    })
  await until(() =>
    forged().then(
      ({ status }) => status === 400,
      () => false,
    ),
  )

  const job = await reserve(5, { title: 'clip' })
  await ada.complete(job, 3)
  const [message] = await messages()
  await deliverDue(db)
  t.strictSame(await messages(), [])
  await until(() => printed.endsWith('\n'))
  t.match(printed, /^job\.completed \{/)
  t.match(JSON.parse(printed.replace('job.completed ', '')), { account_id: ada.id, job: { id: job, actual_cost: 3 } })

  // The same message again, and others after a rotation that the receiver does not know of yet.
  if (!message) throw new Error('no message was written')
  await db
    .insertInto('webhook_messages')
    .values({ ...message, payload: JSON.stringify(message.payload) })
    .execute()
  await operator.post(`${path}/rotate`, {})
  await settle()
  await ada.complete(await reserve(1), 1)
  await settle()
  await until(() => printed.trimEnd().split('\n').length >= 2)
  t.equal(printed.trimEnd().split('\n').length, 2)
})
