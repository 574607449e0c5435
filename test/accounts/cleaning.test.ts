import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { cleanUp } from '../../src/background/clean-up.ts'
import { start } from '../support/start.ts'

t.test('replicas that clean up concurrently share the work, batch by batch', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  await cleanUp(one.db)
  await sql`insert into sessions (session_hash, account_id, clerk_sid, expires_at)
    select 'old-' || n, ${randomUUID()}, 'sess_2', now() - interval '1 day' from generate_series(1, 1700) n`.execute(
    one.db,
  )
  const passes = await Promise.all([cleanUp(one.db), cleanUp(two.db), cleanUp(one.db), cleanUp(two.db)])
  // Rows that somebody else is deleting are passed over, so a pass may end while another is still at it.
  const rest = await cleanUp(one.db)
  t.equal(
    [...passes, rest].reduce((sum, { sessions }) => sum + sessions, 0),
    1700,
  )
})

t.test('clean-up skips rows that another replica is deleting', async (t) => {
  const { db } = await start(t)
  const [session_hash, account_id] = [randomUUID(), randomUUID()]
  await sql`insert into sessions (session_hash, account_id, clerk_sid, expires_at)
    values (${session_hash}, ${account_id}, 'sess_4', now() - interval '1 day')`.execute(db)
  await db.transaction().execute(async (trx) => {
    await sql`select 1 from sessions where session_hash = ${session_hash} for update`.execute(trx)
    t.match(await cleanUp(db), { sessions: 0 })
  })
  t.match(await cleanUp(db), { sessions: 1 })
})

t.test('a pass ends between two batches when the service stops', async (t) => {
  const { db } = await start(t)
  await sql`insert into sessions (session_hash, account_id, clerk_sid, expires_at)
    values (${randomUUID()}, ${randomUUID()}, 'sess_3', now() - interval '1 day')`.execute(db)
  t.match(await cleanUp(db, AbortSignal.abort()), { sessions: 0 })
  t.match(await cleanUp(db), { sessions: 1 })
})
