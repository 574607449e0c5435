import t from 'tap'
import { limit } from '../../src/ledger/operations.ts'
import { bearer, logIn } from '../support/device.ts'
import { personWith, start, unique } from '../support/start.ts'

const job = (cost_estimate: number, app = 'clips') => ({ app, action: 'render', cost_estimate })

t.test('a job remembers the token that made it', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 20)
  const token = bearer(app, await logIn(app, ada))
  const [{ id }] = (await token.get('/api/tokens')).json().tokens
  await token.post('/api/jobs', job(1))
  await ada.reserve(2)
  const jobs = await db
    .selectFrom('jobs')
    .select(['reserved', 'token_id', 'grant_id', 'budget_ids'])
    .where('account_id', '=', ada.id)
    .orderBy('reserved')
    .execute()
  t.strictSame(jobs, [
    { reserved: 1, token_id: id, grant_id: null, budget_ids: null },
    { reserved: 2, token_id: null, grant_id: null, budget_ids: null },
  ])
})

t.test('the refusals of a budget say what to know, and replays are none', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 100)
  const token = bearer(app, await logIn(app, ada))
  const [{ id }] = (await token.get('/api/tokens')).json().tokens
  const limits = { amount: 5, period: 'day', apps: ['clips', 'video'] } as const
  await app.pats.revoking(ada.id, () => limit(app.ledger, ada.id, id, { ...limits, apps: [...limits.apps] }))

  const reserve = (body: object, headers = {}) => token.post('/api/jobs', body, headers)
  const elsewhere = await reserve(job(1, 'audio'))
  t.match([elsewhere.statusCode, elsewhere.json()], [403, { error: 'app_not_allowed', apps: ['clips', 'video'] }])
  const key = { 'idempotency-key': unique('key') }
  const { job_id } = (await reserve(job(4), key)).json()
  t.match((await reserve(job(4), key)).json(), { job_id })
  const refused = await reserve(job(2))
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)
  t.match(
    [refused.statusCode, refused.json()],
    [403, { error: 'budget_exceeded', budget: 5, spent: 4, resets_at: `${tomorrow}T00:00:00.000Z` }],
  )
  await ada.complete(job_id, 3)
  t.equal((await reserve(job(2))).statusCode, 200, 'a settlement by somebody else makes room')
  t.equal((await ada.reserve(50)).statusCode, 200, 'a person has no budget')
})
