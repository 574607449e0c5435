/**
 * The same work as people would write it: a Fastify of two routes and plain pg, a transaction per operation, the account
 * locked by SELECT … FOR UPDATE. It is spared what a service has to do beside: it believes every token as it is, and
 * checks no body.
 */
import Fastify from 'fastify'
import { decodeJwt } from 'jose'
import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { accountIdOf } from '../src/accounts/account-id.ts'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: Number(process.env.POOL_SIZE) })
const app = Fastify()

app.get('/', async () => ({ status: 'ok' }))

app.post<{ Body: { cost_estimate: number } }>('/api/jobs', async (request) => {
  const job_id = uuidv7()
  await transaction((db) => reserve(db, accountOf(request), job_id, request.body.cost_estimate))
  return { job_id }
})

app.post<{ Body: { job_id: string; actual_cost: number } }>('/api/jobs/complete', async (request) => {
  const { job_id, actual_cost } = request.body
  await transaction((db) => complete(db, accountOf(request), job_id, actual_cost))
  return { ok: true }
})

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
process.once('SIGTERM', async () => {
  await app.close()
  await pool.end()
})

function accountOf({ headers: { authorization = '' } }: { headers: { authorization?: string | undefined } }): string {
  return accountIdOf(decodeJwt(authorization.slice('Bearer '.length)).sub ?? '')
}

async function transaction(act: (db: pg.PoolClient) => Promise<void>): Promise<void> {
  const db = await pool.connect()
  try {
    await db.query('begin')
    await act(db)
    await db.query('commit')
  } catch (error) {
    await db.query('rollback')
    throw error
  } finally {
    db.release()
  }
}

const LOCK = 'select credits, held, seq from accounts where id = $1 for update'
const SAVE = 'update accounts set credits = $2, held = $3, seq = $4 where id = $1'
const ENTER = `insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after) values ($1, $2, $3, $4, $5, $6)`

/** BEGIN, four statements and COMMIT: six round trips. */
async function reserve(db: pg.PoolClient, accountId: string, jobId: string, cost: number): Promise<void> {
  const account = await lock(db, accountId)
  if (account.credits < cost) throw new Error('insufficient credits')
  const credits = account.credits - cost
  await db.query(SAVE, [accountId, credits, account.held + cost, account.seq + 1])
  await db.query(
    `insert into jobs (account_id, id, app_slug, action, reserved, expires_at, ttl_seconds)
      values ($1, $2, 'video', 'render', $3, now() + interval '1 day', 86400)`,
    [accountId, jobId, cost],
  )
  await db.query(ENTER, [accountId, account.seq + 1, jobId, 'job_reserve', -cost, credits])
}

/** As many: the job is updated, and read, by one statement. */
async function complete(db: pg.PoolClient, accountId: string, jobId: string, cost: number): Promise<void> {
  const account = await lock(db, accountId)
  const job = await db.query(
    `update jobs set status = 'completed', actual_cost = $3, updated_at = now()
      where account_id = $1 and id = $2 and status = 'started' returning reserved`,
    [accountId, jobId, cost],
  )
  const reserved = Number(job.rows[0].reserved)
  const credits = account.credits + reserved - cost
  await db.query(SAVE, [accountId, credits, account.held - reserved, account.seq + 1])
  await db.query(ENTER, [accountId, account.seq + 1, jobId, 'job_refund', reserved - cost, credits])
}

async function lock(db: pg.PoolClient, accountId: string) {
  const { rows } = await db.query(LOCK, [accountId])
  return { credits: Number(rows[0].credits), held: Number(rows[0].held), seq: Number(rows[0].seq) }
}
