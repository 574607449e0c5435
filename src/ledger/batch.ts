import { DatabaseUnavailable } from '../db/postgres.ts'
import { ApiError } from '../errors.ts'
import { batchOf, type PostedRow, postMany, postToOne, type Wish } from './batch-statement.ts'
import type { Db } from './post.ts'
import type { Posting } from './posting.ts'
import { type Held, reserveHold } from './reserve.ts'
import { isLockTimeout, isUnsupported, retried } from './retry.ts'
import { type Ended, end } from './settle.ts'

/** More than this at once costs more in one statement than in two. */
const MAX_BATCH = 128
/** A burst of thousands waits and is served; what is beyond could not be served in time. */
const MAX_WAITING = 5_000

type Operation = Wish & {
  account: string
  /** What two operations of one batch must not share: the job that they end, or their idempotency key */
  guard: string | undefined
  resolve: (rows: (Held | Ended)[]) => void
  reject: (error: unknown) => void
}

/** Operations on their way to the database, one batch at a time. */
interface Lane {
  queue: Operation[]
  running: boolean
  post: (batch: Operation[]) => Promise<void>
  /** Nothing is left of it */
  done?: () => void
}

/**
 * Posts together what arrives together: while one statement is under way, operations gather, and go as the next one.
 * An operation that comes alone leaves at once. One commit covers them all, and each is answered after it.
 *
 * All go down one lane with a connection of its own. Where a batch fails, or somebody else holds an account's lock,
 * the operations concerned leave it for a lane of their account, which waits, and posts one by one what does not go
 * together; what comes later for the account follows them there, so that order is kept, and nobody else waits. On a
 * database that locks no rows over many shards every account has its lane.
 * @param db where the lanes of accounts are
 * @param connection of the main lane; closed with it unless it is `db`
 * @param onBatch told of every statement with how many operations it takes, before it is sent
 */
export function postInBatches(db: Db, connection: Db, onBatch: (size: number) => void = () => {}): Posting {
  const main: Lane = { queue: [], running: false, post: postMixed }
  const lanes = new Map<string, Lane>()
  let sharded = false
  let waiting = 0
  let idle = Promise.withResolvers<void>()
  idle.resolve()

  function enqueue(wish: Wish, account: string, key: string | null): Promise<(Held | Ended)[]> {
    if (waiting >= MAX_WAITING) return Promise.reject(overloaded())
    if (waiting++ === 0) idle = Promise.withResolvers()
    const { promise, resolve, reject } = Promise.withResolvers<(Held | Ended)[]>()
    const guard = key === null ? undefined : `${account} ${key}`
    join(sharded ? laneOf(account) : (lanes.get(account) ?? main), { ...wish, account, guard, resolve, reject })
    return promise.finally(() => {
      if (--waiting === 0) idle.resolve()
    })
  }

  function laneOf(account: string): Lane {
    let lane = lanes.get(account)
    if (!lane) {
      lane = { queue: [], running: false, post: (batch) => postOwn(batch, account), done: () => lanes.delete(account) }
      lanes.set(account, lane)
    }
    return lane
  }

  /** Operations of many accounts. */
  async function postMixed(batch: Operation[]): Promise<void> {
    const accounts = [...new Set(batch.map(({ account }) => account))]
    try {
      if (batch.length === 1) return await postAlone(batch[0] as Operation, connection)
      onBatch(batch.length)
      const rows = await postMany(connection, batchOf(batch, accounts), db)
      const locked = new Set(rows.map(({ account_id }) => account_id))
      tell(batch, rows, locked)
      if (locked.size < accounts.length) moveToLanes(batch.filter(({ account }) => !locked.has(account)))
    } catch (error) {
      // Whoever waits behind them would wait as long again.
      if (isTimeOut(error)) return refuse([...batch, ...main.queue.splice(0)], error)
      if (batch.length === 1 && !isLockTimeout(error)) return refuse(batch, error)
      sharded ||= isUnsupported(error)
      moveToLanes(batch)
    }
  }

  /** Operations of one account, which somebody else may have locked. */
  async function postOwn(batch: Operation[], account: string): Promise<void> {
    try {
      if (batch.length > 1) {
        onBatch(batch.length)
        return tell(batch, await postToOne(db, batchOf(batch, [account])), new Set([account]))
      }
    } catch (error) {
      if (isTimeOut(error)) return refuse([...batch, ...laneOf(account).queue.splice(0)], error)
    }
    for (const operation of batch) await postAlone(operation, db).catch((error) => refuse([operation], error))
  }

  async function postAlone({ reserve, end: ending, resolve }: Operation, on: Db): Promise<void> {
    onBatch(1)
    resolve(await retried<Held[] | Ended[]>(() => (reserve ? reserveHold(on, reserve, db) : end(on, ending, db))))
  }

  /** Moves operations to the lanes of their accounts, and after them those that wait for the same accounts. */
  function moveToLanes(operations: Operation[]): void {
    const accounts = new Set(operations.map(({ account }) => account))
    const behind = main.queue.filter(({ account }) => sharded || accounts.has(account))
    main.queue = main.queue.filter(({ account }) => !sharded && !accounts.has(account))
    for (const operation of [...operations, ...behind]) join(laneOf(operation.account), operation)
  }

  return {
    reserve: (wish) => enqueue({ reserve: wish }, wish.account_id, wish.idempotency_key) as Promise<Held[]>,
    end: (wish) => enqueue({ end: wish }, wish.account_id, wish.job_id.toLowerCase()) as Promise<Ended[]>,
    waiting: () => waiting,
    close: async () => {
      await idle.promise
      if (connection !== db) await connection.destroy()
    },
  }
}

/** Puts an operation at the end of a lane, and sets that going. */
function join(lane: Lane, operation: Operation): void {
  lane.queue.push(operation)
  if (lane.running) return
  lane.running = true
  // What was read from the network together belongs together.
  setImmediate(run, lane)
}

async function run(lane: Lane): Promise<void> {
  while (lane.queue.length > 0) await lane.post(take(lane.queue))
  lane.running = false
  lane.done?.()
}

/** Takes the next batch off a queue. What must not go together waits, and so does all behind it of the same account. */
function take(queue: Operation[]): Operation[] {
  const batch: Operation[] = []
  const later: Operation[] = []
  const guards = new Set<string>()
  const blocked = new Set<string>()
  let seen = 0
  for (; seen < queue.length && batch.length < MAX_BATCH; seen++) {
    const operation = queue[seen] as Operation
    const { guard, account } = operation
    if (blocked.has(account) || (guard !== undefined && guards.has(guard))) {
      blocked.add(account)
      later.push(operation)
    } else {
      if (guard !== undefined) guards.add(guard)
      batch.push(operation)
    }
  }
  queue.splice(0, seen, ...later)
  return batch
}

/** Answers the operations of these accounts by the rows of their batch: one that has none was not to be. */
function tell(batch: Operation[], rows: PostedRow[], accounts: Set<string>): void {
  const posted = new Map(rows.map(({ n, account_id, ...row }) => [n, row]))
  for (const [n, { account, resolve }] of batch.entries()) {
    const row = posted.get(n)
    if (accounts.has(account)) resolve(row ? [row] : [])
  }
}

const refuse = (operations: Operation[], error: unknown): void => {
  for (const { reject } of operations) reject(error)
}

const isTimeOut = (error: unknown): boolean => error instanceof DatabaseUnavailable && error.timedOut

const overloaded = () =>
  new ApiError(503, 'overloaded', 'Too much is waiting to be posted; try again.', {}, { 'retry-after': '1' })
