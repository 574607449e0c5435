/**
 * The same work as people would write it: plain pg, a transaction per operation, the account locked by SELECT … FOR
 * UPDATE. A process of its own without HTTP and without authentication (processes.ts starts it), so it has the
 * advantage over a service that does the same.
 */
import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'

export interface HandwrittenTask {
  url: string
  accountIds: string[]
  /** Operations at once */
  connections: number
  /** Connections of the pool: fewer than operations at once means waiting, more means contention */
  poolSize: number
  seconds: number
}

process.on('message', async (task: HandwrittenTask) => {
  try {
    process.send?.({ measured: await run(task) })
  } catch (error) {
    process.send?.({ fault: (error as Error).message })
  }
})
process.on('disconnect', () => process.exit())

/** @returns operations per second */
async function run({ url, accountIds, connections, poolSize, seconds }: HandwrittenTask): Promise<number> {
  const pool = new pg.Pool({ connectionString: url, max: poolSize })
  await Promise.all(Array.from({ length: poolSize }, () => pool.query('select pg_sleep(0.01)')))
  const begun = performance.now()
  let operations = 0
  async function client() {
    while (performance.now() - begun < seconds * 1000) {
      const accountId = accountIds[Math.floor(Math.random() * accountIds.length)] ?? ''
      const jobId = uuidv7()
      await transaction(pool, (db) => reserve(db, accountId, jobId, 5))
      await transaction(pool, (db) => complete(db, accountId, jobId, 3))
      operations += 2
    }
  }
  await Promise.all(Array.from({ length: connections }, client))
  const elapsed = (performance.now() - begun) / 1000
  await pool.end()
  return operations / elapsed
}

async function transaction(pool: pg.Pool, act: (db: pg.PoolClient) => Promise<void>): Promise<void> {
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

/** Six round trips with BEGIN and COMMIT. */
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
