import t from 'tap'
import { bearer, logIn } from '../support/device.ts'
import { personWith, start } from '../support/start.ts'

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
