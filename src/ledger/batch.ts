import { AsyncLocalStorage } from 'node:async_hooks'
import type { Db } from '../db/tables.ts'
import { postingQueueFull } from '../http/catalogue.ts'
import { batchOf, FAR, type PostedRow, postMany, postToOne, type Wish } from './batch-statement.ts'
import type { Posting } from './posting.ts'
import { type Held, reserveHold } from './reserve.ts'
import { isLockTimeout, isSilence, isTimeOut, isUnsupported, retried } from './retry.ts'
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
  /** Answers every operation, or sends it elsewhere; it throws where what waits behind them would fail the same way */
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
  let served = 0
  let idle = Promise.withResolvers<void>()
  idle.resolve()

  function enqueue(wish: Wish, account: string, guard?: string): Promise<(Held | Ended)[]> {
    if (waiting >= MAX_WAITING) return Promise.reject(postingQueueFull())
    if (waiting++ === 0) idle = Promise.withResolvers()
    const { promise, resolve, reject } = Promise.withResolvers<(Held | Ended)[]>()
    join(sharded ? laneOf(account) : (lanes.get(account) ?? main), { ...wish, account, guard, resolve, reject })
    return promise.finally(() => {
      if (--waiting === 0) idle.resolve()
    })
  }

  function laneOf(account: string): Lane {
    let lane = lanes.get(account)
    if (!lane) {
      lane = { queue: [], running: false, post: postOwn, done: () => lanes.delete(account) }
      lanes.set(account, lane)
    }
    return lane
  }

  /** Operations of many accounts. */
  async function postMixed(batch: Operation[]): Promise<void> {
    const [first] = batch
    try {
      if (first && batch.length === 1) return await postAlone(first, connection)
      const rows = await postTogether(postMany, connection, batch)
      const locked = new Set(rows.map(({ account_id }) => account_id))
      moveToLanes(batch.filter(({ account }) => !locked.has(account)))
      tell(batch, rows, locked)
    } catch (error) {
      if (isSilence(error)) throw error
      // Alone, it is the operation itself that was refused.
      if (first && batch.length === 1 && !isLockTimeout(error) && !isTimeOut(error)) return first.reject(error)
      sharded ||= isUnsupported(error)
      moveToLanes(batch)
    } finally {
      served += batch.length
    }
  }

  /** Operations of one account, which somebody else may have locked. */
  async function postOwn(batch: Operation[]): Promise<void> {
    try {
      if (batch.length > 1) return tell(batch, await postTogether(postToOne, db, batch))
    } catch (error) {
      if (isTimeOut(error)) throw error
    }
    for (const operation of batch) {
      await postAlone(operation, db).catch((error) => {
        if (isTimeOut(error)) throw error
        operation.reject(error)
      })
    }
  }

  function postTogether(statement: typeof postMany, on: Db, batch: Operation[]): Promise<PostedRow[]> {
    onBatch(batch.length)
    return statement(on, batchOf(batch, [...new Set(batch.map(({ account }) => account))]), db)
  }

  async function postAlone({ reserve, end: ending, resolve }: Operation, on: Db): Promise<void> {
    onBatch(1)
    resolve(await retried<Held[] | Ended[]>(() => (reserve ? reserveHold(on, reserve, db) : end(on, ending, db))))
  }

  /** Moves operations to the lanes of their accounts, and after them those that wait for the same accounts. */
  function moveToLanes(operations: Operation[]): void {
    const accounts = new Set(operations.map(({ account }) => account))
    const { behind = [], stay = [] } = Object.groupBy(main.queue, ({ account }) =>
      sharded || accounts.has(account) ? 'behind' : 'stay',
    )
    main.queue = stay
    for (const operation of [...operations, ...behind]) join(laneOf(operation.account), operation)
  }

  return {
    reserve(wish) {
      const guard = wish.idempotency_key === null ? undefined : `key ${wish.account_id} ${wish.idempotency_key}`
      return enqueue({ reserve: wish }, wish.account_id, guard) as Promise<Held[]>
    },
    end(given) {
      // As the database writes them: rows are matched with operations by these.
      const [account_id, job_id] = [given.account_id.toLowerCase(), given.job_id.toLowerCase()]
      return enqueue({ end: { ...given, account_id, job_id } }, account_id, `job ${account_id} ${job_id}`) as Promise<
        Ended[]
      >
    },
    waiting: () => main.queue.length,
    served: () => served,
    close: async () => {
      await idle.promise
      if (connection !== db) await connection.destroy()
    },
  }
}

/** What runs a lane runs for all who wait there, not in the context of who came first. */
const forNobody = AsyncLocalStorage.snapshot()

/** Puts an operation at the end of a lane, and sets that going. */
function join(lane: Lane, operation: Operation): void {
  lane.queue.push(operation)
  if (lane.running) return
  lane.running = true
  // What was read from the network together belongs together.
  setImmediate(forNobody, run, lane)
}

async function run(lane: Lane): Promise<void> {
  while (lane.queue.length > 0) {
    const batch = take(lane.queue)
    try {
      await lane.post(batch)
    } catch (error) {
      for (const { reject } of [...batch, ...lane.queue.splice(0)]) reject(error)
    }
  }
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
    const { guard, account, end: ending } = operation
    if ((ending?.actual_cost ?? 0) > FAR / 1_000) {
      // May not fit into the account: it goes by itself.
      if (seen === 0) return queue.splice(0, 1)
      break
    }
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

/** Answers operations by the rows of their batch, of these accounts or of all: one that has none was not to be. */
function tell(batch: Operation[], rows: PostedRow[], accounts?: Set<string>): void {
  const posted = new Map(rows.map(({ n, account_id, ...row }) => [n, row]))
  for (const [n, { account, resolve }] of batch.entries()) {
    const row = posted.get(n)
    if (!accounts || accounts.has(account)) resolve(row ? [row] : [])
  }
}
