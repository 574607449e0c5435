import t from 'tap'
import { createFocusAdmin } from '../../client/src/create-admin.ts'
import { createFocus } from '../../client/src/create-focus.ts'
import { FocusError, InsufficientCredits, NotSignedIn } from '../../client/src/focus-error.ts'
import snapshot from '../../openapi.snapshot.json' with { type: 'json' }
import { errorOf, ready } from '../support/client.ts'
import { unique } from '../support/start.ts'

const video = { app: 'video', action: 'render', cost_estimate: 5 }
t.test('every operation is a method, by its operation id', async (t) => {
  const admin = createFocusAdmin({ url: 'http://localhost:1' }) as unknown as Record<string, unknown>
  const operations = Object.values(snapshot.paths).flatMap((methods) => Object.values(methods))
  const others = ['signInLocally', 'receiveClerkWebhook', 'receiveStripeEvent']
  for (const { operationId } of operations as { operationId: string }[]) {
    if (!others.includes(operationId)) t.type(admin[operationId], 'function', operationId)
  }
  const focus = createFocus({ url: 'https://account.example.com' })
  t.notMatch(Object.keys(focus), ['setApp'])
  t.equal(
    focus.openSignInPage({ redirect_to: 'https://app.example.com/?a=1', token_in: 'fragment' }),
    'https://account.example.com/signin?redirect_to=https%3A%2F%2Fapp.example.com%2F%3Fa%3D1&token_in=fragment',
  )
})

t.test('input goes into path, query and body; lists go on over pages', async (t) => {
  const { focus, person, service } = await ready(t)
  const { account } = await focus.getWallet({ app: 'video' })
  t.equal(account.id, person.id)
  const { job_id } = await focus.createJob(video)
  t.equal((await focus.heartbeatJob({ id: job_id })).job.status, 'started')
  t.equal((await focus.heartbeatJob({ id: job_id, ttl_seconds: 60 })).job.id, job_id)
  t.match(await focus.completeJob({ job_id, actual_cost: 3 }), { moved: { kind: 'job_refund', amount: 2 } })
  t.equal((await focus.getJob({ id: job_id })).job.actual_cost, 3)
  const made = [job_id]
  for (let i = 0; i < 4; i++) made.unshift((await focus.createJob(video)).job_id)
  t.equal((await focus.listJobs({ limit: 2 })).jobs.length, 2, 'one page')
  const ids: string[] = []
  for await (const job of focus.jobs({ limit: 2, status: undefined })) ids.push(job.id)
  t.same(ids, made, 'all pages')
  const admin = createFocusAdmin({ url: service.url, token: (await service.admin()).token })
  t.ok((await admin.verifyLedger()).ok)
  const { app } = await admin.setApp({ slug: 'video', starter_credits: 20 })
  t.equal(app.starter_credits, 20)
  const pack = unique('pack')
  await admin.setPack({ slug: pack, name: 'A pack', credits: 10, price: 100, currency: 'eur' })
  t.equal(await admin.removePack({ slug: pack }), undefined, '204')
})

t.test('errors have a code, a status, the request and what the answer says', async (t) => {
  const { focus, person, network } = await ready(t, {}, 2)
  const short = await errorOf(focus.createJob({ ...video, app: 'clips' }))
  t.ok(short instanceof InsufficientCredits)
  t.match(short, { code: 'insufficient_credits', status: 402, required: 5, available: 2, requestId: /^[0-9a-f-]{36}$/ })
  t.match(short.buyUrl, /\/buy/)
  const stranger = await errorOf(createFocus({ url: network.url }).getWallet())
  t.ok(stranger instanceof NotSignedIn)
  t.match(stranger, { code: 'not_signed_in', signinUrl: /\/signin/ })
  const { message } = await errorOf(focus.getJob({ id: '' }))
  t.match(message, /getJob needs id/)
  t.equal((await errorOf(focus.getJob({ id: '..' }))).code, 'invalid_options')
  network.fate = () => ({ status: 302, headers: { location: 'https://elsewhere.example.com/' } })
  t.match(await errorOf(focus.getWallet()), { code: 'redirected', status: 302 })
  network.fate = () => ({ status: 200 })
  t.match(await errorOf(focus.getWallet({}, { retryFor: 0 })), { code: 'invalid_answer', status: 200 })
  const nowhere = await errorOf(
    createFocus({ url: 'http://localhost:1', token: person.token, retryFor: 0 }).getWallet(),
  )
  t.ok(nowhere instanceof FocusError)
  t.match(nowhere, { code: 'network_error', status: 0 })
})
