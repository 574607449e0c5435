import type { Session } from '../db/pipeline.ts'
import type { Query } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { DatabaseUnavailable } from '../db/unavailable.ts'
import {
  type Happening,
  hasEndpoints,
  insertMessages,
  isHeardBy,
  type Message,
  messagesOf,
  timestamp,
} from '../webhooks/outbox.ts'
import { type BudgetEvent, resetsAt } from './budgets.ts'
import { load, loadGrants, loadReserves, type Read, stateOf } from './load.ts'
import { answeredJob, type Operation } from './operations.ts'
import { apply, MAX_CREDITS } from './rules.ts'
import type { Locking } from './sets.ts'
import { type Account, type Ended, follow, type Outcome, type State } from './state.ts'
import { openAccounts, store } from './store.ts'
import type { Visits } from './visits.ts'

/** How long one transaction waits for a lock, in ms. */
const LOCK_MS = 1_000

/** What a transaction needs to know beside its operations. */
interface Context extends Locking {
  /** Its webhook endpoints are meant */
  db: Db
  visits: Visits
}

const BEGIN: Query = { name: 'begin', text: 'begin' }
const COMMIT: Query = { name: 'commit', text: 'commit' }
const ROLLBACK: Query = { name: 'rollback', text: 'rollback' }

/**
 * Locks are held while this process computes. If it freezes, the server ends the transaction after a second and releases them. `set
 * local`, because a pooler drops the options that a connection is opened with.
 */
const FROZEN: Query = { name: 'set_idle_timeout', text: `set local idle_in_transaction_session_timeout = '1s'` }
const PATIENT: Query = { name: 'set_lock_timeout', text: `set local lock_timeout = '${LOCK_MS}ms'` }
const PROPAGATE: Query = { name: 'set_propagate', text: `set local citus.propagate_set_commands = 'local'` }
/** Citus cannot plan without the values. */
const PLAN_ANEW: Query = { name: 'set_plan_anew', text: 'set local plan_cache_mode = force_custom_plan' }

const begin = ({ waits, sharded }: Locking): Query[] => [
  BEGIN,
  ...(sharded ? [PLAN_ANEW, PROPAGATE] : []),
  FROZEN,
  ...(waits ? [PATIENT] : []),
]

/**
 * Posts a batch as one transaction of two round trips: load, under the locks of its accounts; apply; store and commit.
 * @returns the outcome of each operation; undefined where its account is locked by others or does not exist
 * @throws what the database refused, or that it did not answer: then no operation was posted, or it is unknown
 */
export async function transact(
  session: Session,
  operations: Operation[],
  context: Context,
): Promise<(Outcome | undefined)[]> {
  try {
    const unknown = new Set(operations.filter((operation) => 'app' in operation && !context.visits.has(operation)))
    const states = await read(session, operations, context)
    const { outcomes, changes, rows } = applyAll(states, operations)
    const messages = await tell(session, context, changes)
    const queries = [...store(changes, context), ...announce(messages), ...rows]
    const opener = operations.find(({ account_id, clerk_id }) => clerk_id && states.get(account_id)?.now === UNOPENED)
    if (opener && queries.length > 0) {
      await session.send([
        ROLLBACK,
        ...begin(context),
        openAccounts.query({ ids: [opener.account_id], clerk_ids: [opener.clerk_id ?? ''] }),
        COMMIT,
      ])
      return await transact(session, operations, context)
    }
    const results = await session.send([...queries, COMMIT])
    // After an error, the answer to COMMIT is that it rolled back.
    if (results.at(-1)?.command !== 'COMMIT') throw new Error('The transaction was rolled back.')
    for (const operation of operations) {
      const state = states.get(operation.account_id)
      if (state && 'app' in operation) context.visits.learn(operation, state, unknown.has(operation))
    }
    return outcomes
  } catch (error) {
    const lost = error instanceof DatabaseUnavailable
    if (!lost || isServerTimeout(error)) await session.send([ROLLBACK]).catch(() => {})
    throw error
  }
}

/** Locks and loads. @returns the states of the accounts that were locked, by id */
async function read(session: Session, operations: Operation[], context: Context): Promise<Map<string, State>> {
  const states = new Map<string, State>()
  // An account that does not come back under a lock that is waited for does not exist: it has nothing.
  if (context.waits)
    for (const { account_id } of operations) states.set(account_id, stateOf(empty(account_id), UNOPENED))
  await take(session, load(operations, context, context.visits), states, begin(context))

  const asked = new Map<string, number>()
  const reserves = operations.filter((operation) => operation.type === 'reserve')
  for (const { account_id, cost } of reserves) asked.set(account_id, (asked.get(account_id) ?? 0) + cost)
  const isShort = (id: string) => (states.get(id)?.account.credits ?? MAX_CREDITS) < (asked.get(id) ?? 0)
  const short = reserves.filter(({ account_id }) => isShort(account_id))
  if (short.length > 0) await take(session, loadReserves(short, context.visits, context), states)
  return states
}

/** Sends queries, after those that open the transaction, and takes their rows into states. */
async function take(session: Session, reads: Read[], states: Map<string, State>, opening: Query[] = []): Promise<void> {
  const results = await session.send([...opening, ...reads.map(({ query }) => query)])
  for (const [n, read] of reads.entries()) read.take(results[opening.length + n]?.rows ?? [], states)
}

/** Applies operations in their order. @returns what became of each, of each account, and what is to be committed with it */
function applyAll(states: Map<string, State>, operations: Operation[]) {
  const changes = new Map<string, Change>()
  const rows: Query[] = []
  const outcomes = operations.map((operation) => {
    const state = states.get(operation.account_id)
    if (!state) return undefined
    const { id } = state.account
    let change = changes.get(id)
    if (!change) {
      change = { state, loaded: state.account, outcomes: [] }
      changes.set(id, change)
    }
    const before = state.account
    const outcome = apply(state, operation)
    follow(state, outcome)
    change.outcomes.push(outcome)
    if (operation.rows && !outcome.refusal && !outcome.repeated) rows.push(...operation.rows(before, outcome))
    return outcome
  })
  return { outcomes, changes: [...changes.values()], rows }
}

/** What has become of an account in a batch. */
interface Change {
  state: State
  loaded: Account
  outcomes: Outcome[]
}

/** The messages for what happened. The apps of an account are read only where a level was crossed that somebody listens to. */
async function tell(session: Session, { db }: Context, changes: Change[]): Promise<Message[]> {
  if (!hasEndpoints(db)) return []
  const happened = changes.map((change) => ({ ...change, happenings: happeningsOf(change) }))
  const crossed = happened.filter(({ state, happenings }) => !state.grants && happenings.some(isHeardBy(db)))
  if (crossed.length > 0) {
    const states = new Map(crossed.map(({ state }) => [state.account.id, state]))
    await take(session, [loadGrants([...states.keys()])], states)
  }
  return happened.flatMap(({ state: { account, grants, now }, happenings }) =>
    messagesOf(db, account.id, happenings, new Set(grants?.keys()), now),
  )
}

const happeningsOf = ({ state, loaded, outcomes }: Change): Happening[] =>
  outcomes.map(({ account, ended, told }, n) => ({
    before: outcomes[n - 1]?.account ?? loaded,
    after: account,
    ended: ended.map(endOf),
    budgets: told.map((event) => budgetTold(event, state.now)),
  }))

/** A budget that is low or exceeded, as payloads have it. */
function budgetTold({ event, app, budget }: BudgetEvent, now: number): Happening['budgets'][number] {
  const { id, amount, spent, period, apps } = budget
  const reset = resetsAt(budget, now)
  const json = () => JSON.stringify({ id, amount, spent, period, resets_at: reset && timestamp(reset) })
  return { app, event, apps, json }
}

/** A job that has ended, as payloads have it; its metadata is the text of the database, so that numbers keep their digits. */
function endOf({ job, account }: Ended): Happening['ended'][number] {
  const json = () => `${JSON.stringify(answeredJob(job)).slice(0, -1)},"metadata":${job.metadata}}`
  const event = job.status === 'completed' ? 'job.completed' : 'job.failed'
  return { app: job.app_slug, event, balance: account, json }
}

const announce = (messages: Message[]): Query[] =>
  messages.length === 0
    ? []
    : [
        insertMessages.query({
          account_id: messages.map(({ account_id }) => account_id),
          endpoint_id: messages.map(({ endpoint_id }) => endpoint_id),
          event: messages.map(({ event }) => event),
          payload: messages.map(({ payload }) => payload),
        }),
      ]

const empty = (id: string): Account => ({ id, credits: 0, held: 0, seq: 0, closed: false })
/** When an account was locked that does not exist. */
const UNOPENED = 0

/** Whether the server gave a statement up for its time: its transaction has failed, and the connection is as good as ever. */
const isServerTimeout = (error: DatabaseUnavailable): boolean =>
  (error.cause as { code?: string } | undefined)?.code === '57014'
