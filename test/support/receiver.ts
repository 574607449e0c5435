import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { Db } from '../../src/db/tables.ts'
import { createDispatcher } from '../../src/webhooks/dispatcher.ts'
import { personWith, start, unique } from './start.ts'
import { until } from './until.ts'

export interface Received {
  headers: IncomingHttpHeaders
  body: string
  /** By `performance.now()` */
  at: number
}

/** An app's server: keeps what it receives, and answers as the test says; absent: 204. */
export async function receiver(t: Test, answer?: (response: ServerResponse, received: Received) => unknown) {
  const received: Received[] = []
  const server = createServer((async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const message = { headers: request.headers, body, at: performance.now() }
    received.push(message)
    if (answer) await answer(response, message)
    else response.writeHead(204).end()
  }) satisfies RequestListener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return { received, server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks` }
}

/** Delivers everything that is due now, once. */
export async function deliverDue(db: Db): Promise<void> {
  const dispatcher = createDispatcher({ db, publicOnly: false })
  await dispatcher.look()
  await dispatcher.idle()
}

/** An answer with nothing but a status, which the test may change meanwhile. */
export const status = (code: () => number) => (response: ServerResponse) =>
  response.writeHead(code(), { location: '/elsewhere' }).end()

/** An app with an endpoint that subscribes to everything, and somebody with 20 credits. */
export async function hooked(
  t: Test,
  answer?: Parameters<typeof receiver>[1],
  endpoint: object = {},
  service: Pick<Awaited<ReturnType<typeof start>>, 'app' | 'db' | 'admin'> | undefined = undefined,
) {
  const { app, db, admin } = service ?? (await start(t))
  const operator = await admin()
  const slug = unique('hooked')
  await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 0 })
  const { received, url } = await receiver(t, answer)
  const events = ['job.completed', 'job.failed', 'account.negative', 'account.low']
  const made = await operator.post(`/api/admin/apps/${slug}/webhooks`, { url, events, low_credits: 10, ...endpoint })
  const { secret, endpoint: registered } = made.json()
  const path = `/api/admin/webhooks/${registered.id}`
  const ada = await personWith(app, 20)
  const reserve = async (cost_estimate: number, metadata?: object): Promise<string> =>
    (await ada.post('/api/jobs', { app: slug, action: 'render', cost_estimate, ...(metadata && { metadata }) })).json()
      .job_id
  /** So many jobs that end, and a message for each */
  const endJobs = async (count: number) => {
    const jobs = await Promise.all(Array.from({ length: count }, () => reserve(0)))
    await Promise.all(jobs.map((job) => ada.complete(job, 0)))
  }
  const types = () => received.map(({ body }) => JSON.parse(body).type)
  const messages = () =>
    db.selectFrom('webhook_messages').selectAll().where('account_id', '=', ada.id).orderBy('created_at').execute()
  /** Delivers until nothing is left */
  const settle = async () => {
    await until(async () => {
      await deliverDue(db)
      return (await messages()).length === 0
    })
  }
  return {
    ...{
      app,
      db,
      operator,
      slug,
      received,
      secret,
      endpoint: registered,
      path,
      ada,
      reserve,
      endJobs,
      types,
      messages,
    },
    ...{ settle, url },
  }
}
