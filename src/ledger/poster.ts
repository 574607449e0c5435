import { AsyncLocalStorage } from 'node:async_hooks'
import { LRUCache } from 'lru-cache'
import type { Sessions } from '../db/pipeline.ts'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { DatabaseUnavailable } from '../db/unavailable.ts'
import { postingQueueFull } from '../http/catalogue.ts'
import { knowEndpoints } from '../webhooks/outbox.ts'
import type { Ledger, Operation } from './operations.ts'
import type { Outcome } from './state.ts'
import { transact } from './transaction.ts'
import { rememberVisits } from './visits.ts'

/** More than this in one transaction gains nothing. */
const MAX_BATCH = 128
/** What is beyond could not be served in time. */
const MAX_WAITING = 5_000
/** How long an operation waits for an account's lock, in ms. */
const PATIENCE_MS = 4_500
/** How often a batch is posted again that the server gave up for a reason that passes: 40001, 40P01. */
const MAX_REPEATS = 3

interface Posted {
  operation: Operation
  /** It waits in the lane of its account: ends that */
  patience?: NodeJS.Timeout
  /** It has waited for its account's lock for as long as it may */
  late?: true
  /** A batch has left it out */
  missed?: true
  resolve: (outcome: Outcome) => void
  reject: (error: unknown) => void
}

/** Operations that are posted one batch after the other. */
interface Lane {
  queue: Posted[]
  running: boolean
  /** Of one account: it waits for the lock, and is gone when it is empty */
  account?: string
}

/**
 * The one way to post. Operations that arrive while a batch is under way are the next batch; one that comes alone leaves at once.
 * Each is answered after the commit that covers it.
 *
 * A batch leaves out accounts that another transaction has locked. The next batch tries them once more. Then they go to lanes of their
 * own, which wait for locks on a small pool of connections, and what comes later for the account follows: order is kept, and nobody else
 * waits. After `PATIENCE_MS` there an operation is refused, also while its lane waits for a connection. On a database
 * that is sharded by account there is a queue for each shard, because a transaction may touch only one.
 * @param db where endpoints of webhooks and shards are looked up
 * @param onBatch told of every batch with its size, before it is sent
 */
export function createPoster(
  db: Db,
  connections: { main: Sessions; lanes: Sessions },
  onBatch: (size: number) => void = () => {},
): Ledger {
  const main: Lane = { queue: [], running: false }
  const shards = new Map<string, Lane>()
  const lanes = new Map<string, Lane>()
  const shardOf = new LRUCache<string, string>({ max: 100_000 })
  const visits = rememberVisits()
  let sharded: boolean | undefined
  let waiting = 0
  let served = 0
  let idle = Promise.withResolvers<void>()
  idle.resolve()

  function post(operation: Operation): Promise<Outcome> {
    if (waiting >= MAX_WAITING) return Promise.reject(postingQueueFull())
    if (waiting++ === 0) idle = Promise.withResolvers()
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
    const posted: Posted = { operation, resolve, reject }
    if (lanes.has(operation.account_id)) joinLane(posted)
    else join(main, posted)
    return promise.finally(() => {
      clearTimeout(posted.patience)
      served++
      if (--waiting === 0) idle.resolve()
    })
  }

  /** Puts an operation at the end of a lane, and sets that going. */
  function join(lane: Lane, posted: Posted): void {
    lane.queue.push(posted)
    if (lane.running) return
    lane.running = true
    // What was read from the network together belongs together.
    setImmediate(forNobody, run, lane)
  }

  /** Puts an operation at the end of its account's lane, for as long as its patience lasts. */
  function joinLane(posted: Posted): void {
    const { account_id: account } = posted.operation
    const lane = lanes.get(account) ?? { queue: [], running: false, account }
    lanes.set(account, lane)
    join(lane, posted)
    posted.patience = setTimeout(() => {
      posted.late = true
      const place = lane.queue.indexOf(posted)
      if (place < 0) return
      lane.queue.splice(place, 1)
      posted.reject(waitedTooLong())
    }, PATIENCE_MS).unref()
  }

  async function run(lane: Lane): Promise<void> {
    while (lane.queue.length > 0) {
      const batch: Posted[] = []
      try {
        if (lane === main) await lookUp()
        if (lane === main && sharded) await sort(fill(batch, lane))
        else await postBatch(batch, lane)
      } catch (error) {
        // Those behind a batch that got no answer would wait as long again.
        const hopeless = isSilence(error) ? [...batch, ...lane.queue.splice(0)] : fill(batch, lane)
        for (const { reject } of hopeless) reject(error)
      }
    }
    lane.running = false
    if (lane.account !== undefined) lanes.delete(lane.account)
  }

  /**
   * Posts a batch until each operation is answered, or waits in a lane.
   * @param batch empty: it is taken from the lane once there is a connection, so that it has all that came until then
   * @throws what concerns all of them
   */
  async function postBatch(batch: Posted[], lane: Lane): Promise<void> {
    const waits = lane.account !== undefined
    let lost = 0
    let repeats = 0
    for (;;) {
      try {
        const outcomes = await connections[waits ? 'lanes' : 'main'].use(async (session) => {
          const operations = fill(batch, lane).map(({ operation }) => operation)
          if (operations.length === 0) return []
          onBatch(batch.length)
          return transact(session, operations, { db, visits, waits, sharded: sharded === true })
        })
        const absent = batch.filter((posted, n) => {
          const outcome = outcomes[n]
          if (outcome) posted.resolve(outcome)
          return !outcome
        })
        if (absent.length > 0) leave(absent, lane)
        return
      } catch (error) {
        const code = sqlState(error)
        if (waits && code === LOCK_NOT_AVAILABLE) return again(batch, lane)
        if (error instanceof DatabaseUnavailable) {
          if (error.timedOut || ++lost > 1 || batch.some(({ operation }) => operation.reposted)) throw error
          // What was committed before the connection broke, the second attempt finds.
          for (const { operation } of batch) operation.reposted = true
        } else if (!PASSING.includes(code) || ++repeats > MAX_REPEATS) {
          if (batch.length === 1) throw error
          // One of them cannot be posted; alone, it fails alone.
          for (const posted of batch) await postBatch([posted], lane).catch(posted.reject)
          return
        }
      }
    }
  }

  /**
   * What becomes of operations whose account is locked by others, or new: the next batch tries them once more, because most locks are
   * of other instances and short. Then they go to the lanes of their accounts, and after them those for the same accounts that wait here.
   */
  function leave(absent: Posted[], from: Lane): void {
    const accounts = new Set(absent.filter(({ missed }) => missed).map(({ operation }) => operation.account_id))
    const operations = absent.filter(({ operation }) => accounts.has(operation.account_id))
    const others = absent.filter(({ operation }) => !accounts.has(operation.account_id))
    for (const posted of others) posted.missed = true
    from.queue.unshift(...others)
    for (const lane of new Set([from, main])) {
      const isTheirs = ({ operation }: Posted) => accounts.has(operation.account_id)
      operations.push(...lane.queue.filter(isTheirs))
      lane.queue = lane.queue.filter((posted) => !isTheirs(posted))
    }
    for (const posted of operations) joinLane(posted)
  }

  /** The lock did not come in time: another lane has its turn, and then this one again, with its operations as they were. */
  function again(batch: Posted[], lane: Lane): void {
    for (const posted of batch) if (posted.late) posted.reject(waitedTooLong())
    lane.queue.unshift(...batch.filter(({ late }) => !late))
  }

  /** What has to be known of the database before anything is posted to it. */
  async function lookUp(): Promise<void> {
    await knowEndpoints(db)
    sharded ??= (await isSharded(db, {}))[0]?.sharded === true
  }

  /** Sends operations to the queues of their shards. */
  async function sort(batch: Posted[]): Promise<void> {
    const unknown = new Set(batch.map(({ operation }) => operation.account_id).filter((id) => !shardOf.has(id)))
    if (unknown.size > 0)
      for (const { id, shard } of await findShards(db, { ids: [...unknown] })) shardOf.set(id, String(shard))
    for (const posted of batch) {
      const shard = shardOf.get(posted.operation.account_id) ?? ''
      const lane = shards.get(shard) ?? { queue: [], running: false }
      shards.set(shard, lane)
      if (lanes.has(posted.operation.account_id)) joinLane(posted)
      else join(lane, posted)
    }
  }

  return {
    post,
    waiting: () => [main, ...shards.values()].reduce((sum, { queue }) => sum + queue.length, 0),
    served: () => served,
    close: async () => {
      await idle.promise
      await Promise.all([connections.main.close(), connections.lanes.close()])
    },
  }
}

/** What runs a lane runs for all that wait there, not in the context of the first. */
const forNobody = AsyncLocalStorage.snapshot()

/** Takes the next batch off a lane's queue, unless there is one. @returns it */
function fill(batch: Posted[], lane: Lane): Posted[] {
  if (batch.length === 0) batch.push(...take(lane.queue))
  return batch
}

/**
 * Takes the next batch off a queue. Two operations on one job do not go together, because the metadata of the second is merged into
 * what the first leaves; the second waits, and so does all behind it of the same account.
 */
function take(queue: Posted[]): Posted[] {
  const batch: Posted[] = []
  const later: Posted[] = []
  const jobs = new Set<string>()
  const blocked = new Set<string>()
  let seen = 0
  for (; seen < queue.length && batch.length < MAX_BATCH; seen++) {
    const posted = queue[seen] as Posted
    const { operation } = posted
    const job = 'job_id' in operation ? `${operation.account_id} ${operation.job_id}` : undefined
    if (blocked.has(operation.account_id) || (job !== undefined && jobs.has(job))) {
      blocked.add(operation.account_id)
      later.push(posted)
    } else {
      if (job !== undefined) jobs.add(job)
      batch.push(posted)
    }
  }
  queue.splice(0, seen, ...later)
  return batch
}

const isSharded = statement<Record<never, never>, { sharded: boolean }>(
  'is_sharded',
  `select to_regclass('pg_dist_partition') is not null
    and to_regproc('get_shard_id_for_distribution_column') is not null as sharded`,
)

const findShards = statement<{ ids: string[] }, { id: string; shard: number }>(
  'find_shards',
  `select id, get_shard_id_for_distribution_column('accounts', id) as shard from unnest($ids::uuid[]) as named (id)`,
)

const LOCK_NOT_AVAILABLE = '55P03'
/** The server rolled the transaction back for a reason that passes. */
const PASSING = ['40001', '40P01']

const waitedTooLong = () =>
  new DatabaseUnavailable(new Error('The account stayed locked by others for too long.'), true)

const sqlState = (error: unknown): string => String((error as { code?: unknown })?.code ?? '')

/** Whether nothing came from the server in the time of a statement. */
const isSilence = (error: unknown): boolean =>
  error instanceof DatabaseUnavailable && error.timedOut && !/^5(7014|5P03)$/.test(sqlState(error.cause))
