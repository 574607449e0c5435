import type { EntryKind, JobStatus } from '../db/tables.ts'
import type { Budget, BudgetEvent, Counted, Limits } from './budgets.ts'
import type { Payment, Purchase } from './reconcile.ts'

/**
 * What the ledger is asked of one account, what is known of it, and what becomes of it: the words in which rules.ts decides. Credits are
 * integers. Times are milliseconds since 1970 by the database's clock, with microseconds as their fraction.
 */

/** What is asked of the ledger, apart from whose account it is. */
export type Request =
  | Reserve
  | (Ending & { type: 'complete'; actual_cost: number })
  | (Ending & { type: 'fail'; refund: boolean; by_operator?: boolean })
  | { type: 'expire'; job_id: string }
  | (Claim & { type: 'heartbeat'; ttl_seconds: number | null; default_seconds: number })
  | { type: 'visit'; app: string }
  | Adjust
  | Refund
  | Reconcile
  | Limit
  | { type: 'close' }

/** Who spends. */
export interface Spender {
  /** The token and the grant by which it is asked; null: a person */
  token_id: string | null
  grant_id: string | null
  /** Their budgets: those of the token, of what made it, of the grant. An id without a budget limits nothing */
  budget_ids: string[]
}

export interface Reserve extends Spender {
  type: 'reserve'
  /** Made once per request and kept when it is posted again, so that its own effect is found */
  job_id: string
  app: string
  action: string
  cost: number
  /** A JSON object, as text */
  metadata: string | null
  idempotency_key: string | null
  /** Hash of what was asked for; null without a key */
  request_hash: string | null
  /** The hold's life; a heartbeat may extend it */
  ttl_seconds: number
  /** The caller asked for that life without a settle key, which is not theirs to say where the app has one */
  ttl_without_key: boolean
}

export interface Claim {
  job_id: string
  /** The app whose settle key was shown; null: a person's token, which is not enough where the job's app has a key */
  key_of: string | null
  /** Who shows a token that may have limits, and no key; absent: anybody else */
  by?: Spender | undefined
}

interface Ending extends Claim {
  /** A JSON object as text, to be merged into the job's; null leaves that alone */
  metadata: string | null
  /** It was posted before and its answer was lost */
  reposted?: boolean
}

export interface Adjust {
  type: 'adjust'
  /** Not 0; negative takes credits */
  amount: number
  kind: 'topup' | 'admin_grant' | 'adjustment'
  /** Unique per account: the same again is a repeat and moves nothing */
  reference: string
  reason: string
  actor: string
  allow_negative: boolean
}

/** Gives back what a job cost, or a part of it. */
export interface Refund {
  type: 'refund'
  job_id: string
  /** null: what the job cost and other parts have not given back */
  amount: number | null
  /** 1 and up: the same part and amount again is a repeat and moves nothing */
  part: number
  reason: string
  actor: string
}

/** A payment provider was asked about a purchase. */
export interface Reconcile {
  type: 'reconcile'
  purchase_id: string
  /** Of the purchase, as it was read before the provider was asked: between two reports, the older one must not win */
  version: number
  payment: Payment
}

/** Limits what a token or a grant may spend; what is not given stays. */
export interface Limit extends Partial<Limits> {
  type: 'limit'
  /** Of the token or grant */
  id: string
}

/** What is known of one account. */
export interface State {
  /** Read after the lock was taken */
  now: number
  account: Account
  /** Those that operations name, by id, and by idempotency key */
  jobs: Map<string, Job>
  keys: Map<string, Job>
  /** Holds that are past their time, largest first; read where credits may be short */
  overdue: Job[]
  /** Registered apps that operations name, by slug */
  apps: Map<string, App>
  /** The account's own apps, by slug; null: not read, as no operation needs them */
  grants: Map<string, Grant> | null
  /** Entries with the references that operations name */
  entries: Map<string, Entry>
  /** Those that operations name, by id */
  purchases: Map<string, Purchase>
  /** Those that operations name, and those of loaded jobs, by id */
  budgets: Map<string, Budget>
  /** What has counted against budgets whose period an operation changes, by id */
  counted: Map<string, Counted[]>
}

export interface Account {
  id: string
  /** Spendable: holds are deducted already */
  credits: number
  held: number
  /** The number of the last entry */
  seq: number
  closed: boolean
}

export interface Job {
  id: string
  app_slug: string
  action: string
  status: JobStatus
  reserved: number
  actual_cost: number
  /** What its completion asked for, where the app's cap charged less; null: it is the actual cost */
  requested_cost: number | null
  /** What administrators have given back of the actual cost */
  refunded: number
  /** A JSON object, as text; null where it is too large to be loaded, too: then it stays as it is stored */
  metadata: string | null
  /** Its metadata was stored before there were bounds, and is too large to be loaded */
  oversized: boolean
  /** The token and the grant that made it; null: a person, or a grant without a token */
  token_id: string | null
  grant_id: string | null
  /** The budgets that it counts against; null: none */
  budget_ids: string[] | null
  failure_reason: string | null
  expires_at: number
  created_at: number
  updated_at: number
  ttl_seconds: number | null
  idempotency_key: string | null
  request_hash: string | null
  /** Its app has a settle key */
  keyed: boolean
  /** How far its cost may pass what it reserves, in credits or percent of that; null: its app does not say */
  max_overage: number | null
  max_overage_percent: number | null
  /** What an operation's metadata makes of the job's; null: the operation has none */
  merge: Merge | null
}

export interface Merge {
  /** Both, as text: new keys win */
  text: string
  /** That would be too large: the job keeps what it had */
  too_large: boolean
  /** The job has all of it already */
  same: boolean
}

export interface App {
  starter_credits: number
  /** Has a settle key */
  keyed: boolean
}

export interface Grant {
  app_slug: string
  /** Starter credits; 0: the app was seen, and nothing granted */
  credits: number
  registered: boolean
}

export interface Entry {
  seq: number
  job_id: string | null
  kind: EntryKind
  amount: number
  balance_after: number
  reference: string | null
  reason: string | null
  actor: string | null
  created_at: number
}

/** What an entry does to the spendable balance. */
export interface Movement {
  kind: EntryKind
  amount: number
}

/** A job that has ended, of which its app may want to be told, and the account after that. */
export interface Ended {
  job: Job
  account: Account
}

export type Refusal =
  | { code: 'job_not_found' | 'job_not_ended' | 'job_outside_limits' | 'settle_key_required' | 'account_closed' }
  | { code: 'idempotency_key_reused' | 'balance_out_of_range' | 'purchase_not_found' | 'purchase_changed' }
  | { code: 'insufficient_credits'; required: number; available: number }
  | { code: 'key_of_ended_job'; job: Job }
  | { code: 'job_already_ended'; job: Job; other_metadata: boolean }
  | { code: 'reference_reused'; entry: Entry }
  | { code: 'would_go_negative'; available: number }
  | { code: 'refund_exceeds_cost'; refundable: number }
  | { code: 'app_not_allowed'; apps: string[] }
  | { code: 'budget_exceeded'; budget: number; spent: number; resets_at: number | null }

export interface Outcome {
  /** Why the operation was not done; null: it is, now or before */
  refusal: Refusal | null
  /** It had been done before: nothing moved */
  repeated: boolean
  /** The job that it speaks of, as it is now */
  job: Job | null
  /** The entry of an adjustment */
  entry: Entry | null
  /** The account after it */
  account: Account
  /** To be stored. A refusal may carry some too: holds that were overdue are given back before credits are said to be short */
  created: Job | null
  changed: Job[]
  entries: Entry[]
  grant: Grant | null
  purchase: Purchase | null
  budgets: Budget[]
  ended: Ended[]
  /** Of budgets, that an app may want to be told */
  told: BudgetEvent[]
}

/** What a job counts for in budgets. */
export const countedFor = ({ status, reserved, actual_cost }: Job): number =>
  status === 'started' ? reserved : actual_cost

/** Takes an outcome into the state: the next operation of the account sees it. */
export function follow(state: State, { account, created, changed, entries, grant, purchase, budgets }: Outcome): void {
  state.account = account
  for (const job of created ? [created, ...changed] : changed) {
    const before = state.jobs.get(job.id)
    const credits = countedFor(job) - (before ? countedFor(before) : 0)
    for (const id of job.budget_ids ?? []) state.counted.get(id)?.push({ at: job.created_at, credits })
    state.jobs.set(job.id, job)
    if (job.idempotency_key !== null) state.keys.set(job.idempotency_key, job)
  }
  for (const entry of entries) if (entry.reference !== null) state.entries.set(entry.reference, entry)
  if (grant) state.grants?.set(grant.app_slug, grant)
  if (purchase) state.purchases.set(purchase.id, purchase)
  for (const budget of budgets) state.budgets.set(budget.id, budget)
}

/** An outcome that nothing has been done for yet. */
export const begin = ({ account }: State): Outcome => ({
  refusal: null,
  repeated: false,
  job: null,
  entry: null,
  account: { ...account },
  created: null,
  changed: [],
  entries: [],
  grant: null,
  purchase: null,
  budgets: [],
  ended: [],
  told: [],
})

export const refused = (state: State, refusal: Refusal): Outcome => ({ ...begin(state), refusal })

export const repeated = (state: State, job: Job | null = null): Outcome => ({ ...begin(state), repeated: true, job })
