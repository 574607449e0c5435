import type { ColumnType, Generated, Kysely } from 'kysely'

/** Types of the rows, by the tables' and columns' names. int8 values are safe integers. */

type Timestamp = ColumnType<Date, Date | undefined, Date>
type Json = ColumnType<Record<string, unknown> | null, string | null, string | null>

export type JobStatus = 'started' | 'completed' | 'failed'

export type EntryKind =
  | 'starter_grant'
  | 'admin_grant'
  | 'topup'
  | 'adjustment'
  | 'job_reserve'
  | 'job_refund'
  | 'job_overage'
  | 'job_release'
  | 'job_expire'
  | 'job_late_charge'
  | 'topup_refund'
  | 'topup_reinstated'

/**
 * What a token permits. A session permits everything. `spend` occurs in grants only: the app's server may reserve credits without the
 * user's token.
 */
export type Scope = 'account' | 'oauth' | 'spend' | 'admin'
/** How often a budget is reset, in UTC. */
export type BudgetPeriod = 'day' | 'week' | 'month'
/** State of a device login: `approved`: the device has not fetched its token yet; `delivered`: it has. */
export type DeviceStatus = 'pending' | 'approved' | 'denied' | 'delivered'

export interface Tables {
  accounts: {
    id: string
    clerk_id: string
    plan: Generated<string>
    credits: Generated<number>
    held: Generated<number>
    seq: Generated<number>
    created_at: Timestamp
    closed_at: Date | null
  }
  apps: {
    slug: string
    name: string | null
    starter_credits: Generated<number>
    max_overage: number | null
    max_overage_percent: number | null
    settle_key_hash: string | null
    previous_settle_key_hash: string | null
    previous_settle_key_until: Date | null
    origins: Generated<string[]>
    redirect_uris: Generated<string[]>
    resources: Generated<string[]>
    /** Where a sign-in may return to at the origins: a path, or with a final `/` all paths below it; empty: everywhere */
    return_paths: Generated<string[]>
    created_at: Timestamp
  }
  app_grants: {
    account_id: string
    app_slug: string
    credits: Generated<number>
    granted_at: Date | null
    seen_at: Timestamp
  }
  jobs: {
    account_id: string
    id: string
    app_slug: string
    action: string
    status: JobStatus
    reserved: number
    actual_cost: Generated<number>
    /** The cost that its completion asked for, if a cap reduced it */
    requested_cost: number | null
    refunded: Generated<number>
    metadata: Json
    idempotency_key: string | null
    request_hash: string | null
    failure_reason: string | null
    expires_at: Date
    ttl_seconds: number | null
    /** The token and the grant that started it; null: a session did, or an earlier release */
    token_id: string | null
    grant_id: string | null
    /** The budgets that it counts against; null: none */
    budget_ids: string[] | null
    created_at: Timestamp
    updated_at: Timestamp
  }
  /** Spending limits of tokens and grants. There is a row only for those that have or had a limit. */
  budgets: {
    account_id: string
    /** The id of the token or grant */
    id: string
    /** Credits; null: only the apps are limited */
    amount: number | null
    /** null: it is never reset */
    period: BudgetPeriod | null
    /** The apps at which it may be spent; null: any */
    apps: string[] | null
    /** What the jobs reserved since `period_start` hold and cost */
    spent: Generated<number>
    period_start: Timestamp
    /** Whether `budget.low` and `budget.exceeded` were sent in this period */
    low_told: Generated<boolean>
    exceeded_told: Generated<boolean>
    created_at: Timestamp
  }
  ledger_entries: {
    account_id: string
    seq: number
    job_id: string | null
    kind: EntryKind
    amount: number
    balance_after: number
    reference: string | null
    reason: string | null
    actor: string | null
    created_at: Timestamp
  }
  admin_actions: {
    /** The account that the action concerns, else the administrator's own */
    account_id: string
    id: string
    concerns_account: boolean
    actor_id: string
    via: 'api' | 'cli' | 'console'
    /** The administrator's personal access token, if one was used */
    token_id: string | null
    /** The `operationId` of the API */
    action: string
    /** The object of the action, such as `app video` or `job 0195…` */
    target: string | null
    reason: string | null
    before: Json
    after: Json
    /** The form of the console that asked for it */
    draft_id: string | null
    created_at: Timestamp
  }
  app_additions: {
    app_slug: string
    field: 'origins' | 'redirect_uris' | 'resources'
    value: string
    /** The administrator's account */
    added_by: string
    added_at: Timestamp
  }
  local_accounts: { account_id: string }
  handed_out_tokens: {
    token_hash: string
    expires_at: Date
  }
  sessions: {
    session_hash: string
    account_id: string
    clerk_sid: string
    name: string | null
    expires_at: Date
    created_at: Timestamp
  }
  tokens: {
    id: string
    token_hash: string
    account_id: string
    name: string
    last_four: string
    scopes: Scope[]
    created_at: Timestamp
    last_used_at: Date | null
    last_used_from: string | null
    expires_at: Date
    revoked_at: Date | null
    /** The authorization of an OAuth access token; null: a personal access token */
    authorization_id: string | null
    /** The chain of tokens that created it, the oldest first. Their limits apply to it, and revoking any of them revokes it */
    makers: Generated<string[]>
  }
  grants: {
    id: string
    account_id: string
    client_id: string
    /** The app that owns the resource; without a resource, the app that is the client */
    app_slug: string | null
    /** RFC 8707; null: this service */
    resource: string | null
    scopes: Scope[]
    created_at: Timestamp
    last_used_at: Date | null
    revoked_at: Date | null
  }
  authorizations: {
    id: string
    grant_id: string
    code_hash: string
    redirect_uri: string
    code_challenge: string
    scopes: Scope[]
    created_at: Timestamp
    redeemed_at: Date | null
    expires_at: Date
    revoked_at: Date | null
  }
  refresh_tokens: {
    token_hash: string
    authorization_id: string
    created_at: Timestamp
    expires_at: Date
    used_at: Date | null
    next_id: string | null
  }
  device_codes: {
    device_code_hash: string
    user_code: string
    status: DeviceStatus
    account_id: string | null
    scopes: Scope[]
    client_name: string | null
    requested_from: string | null
    interval: Generated<number>
    last_polled_at: Date | null
    expires_at: Date
    created_at: Timestamp
    token_id: string | null
    delivered_at: Date | null
    client_id: string | null
  }
  attempts: {
    kind: string
    subject: string
    made_at: Date[]
    expires_at: Date
  }
  webhook_deliveries: {
    id: string
    /** `sid` of the Clerk session that this event ended; null: none */
    ended_sid: string | null
    received_at: Timestamp
  }
  webhook_endpoints: {
    id: string
    app_slug: string
    url: string
    secret: string
    events: string[]
    low_credits: Generated<number>
    /** Signs in addition to `secret` until `previous_secret_until` */
    previous_secret: string | null
    previous_secret_until: Date | null
    paused_at: Date | null
    pause_reason: 'operator' | 'gone' | null
    created_at: Timestamp
  }
  /** The state of delivery to an endpoint, shared by the replicas. No row: nothing was delivered yet. */
  webhook_delivery_state: {
    endpoint_id: string
    leased_by: string | null
    leased_until: Generated<Date>
    /** Consecutive failed attempts */
    failures: Generated<number>
    failing_since: Date | null
    retry_at: Generated<Date>
    last_error: string | null
  }
  webhook_attempts: {
    account_id: string
    id: string
    endpoint_id: string
    message_id: string
    event: string
    attempt: number
    attempted_at: Timestamp
    ms: number
    status: number | null
    answer: string | null
    error: string | null
    next_attempt_at: Date | null
  }
  webhook_messages: {
    account_id: string
    id: Generated<string>
    endpoint_id: string
    event: string
    payload: Json
    /** `test`: sent by an administrator, attempted once */
    status: Generated<'pending' | 'dead' | 'test'>
    attempts: Generated<number>
    next_attempt_at: Timestamp
    give_up_at: Timestamp
    last_error: string | null
    created_at: Timestamp
  }
  packs: {
    slug: string
    name: string
    credits: number
    /** In the currency's minor unit */
    price: number
    currency: string
    stripe_price_id: string | null
    created_at: Timestamp
    updated_at: Timestamp
  }
  purchases: {
    account_id: string
    id: string
    /** The pack as it was when the purchase began */
    pack_slug: string
    pack_name: string
    credits: number
    price: number
    currency: string
    provider: 'stripe' | 'local'
    /** `auto`: an automatic top-up */
    origin: 'checkout' | 'auto'
    return_to: string | null
    status: Generated<'open' | 'processing' | 'paid' | 'failed' | 'expired'>
    failure_reason: string | null
    checkout_id: string | null
    checkout_url: string | null
    payment_id: string | null
    /** The reference of the `topup` entry; null: not paid */
    reference: string | null
    /** What was paid, with taxes, in the currency's minor unit */
    amount: number | null
    refunds: ColumnType<object[], string | undefined, string>
    taken_back: Generated<number>
    disputed: Generated<boolean>
    receipt_url: string | null
    version: Generated<number>
    created_at: Timestamp
    updated_at: Timestamp
    /** When the provider was last asked */
    looked_at: Timestamp
    paid_at: Date | null
  }
  payers: {
    account_id: string
    /** The provider's ids */
    customer_id: string | null
    payment_method_id: string | null
    /** The card's name, such as `Visa …4242` */
    card: string | null
    /** The state of automatic top-ups */
    state: Generated<'off' | 'on' | 'paused'>
    /** Why they are paused, or wait until `retry_at` */
    reason: string | null
    /** The terms that the account's owner consented to at `consented_at` */
    pack_slug: string | null
    credits: number | null
    price: number | null
    currency: string | null
    below: number | null
    monthly_cap: number | null
    consented_at: Date | null
    /** The number of the last charge */
    attempt: Generated<number>
    /** The purchase of the charge under way */
    purchase_id: string | null
    failures: Generated<number>
    retry_at: Date | null
    created_at: Timestamp
    updated_at: Timestamp
  }
  service_keys: {
    id: string
    key_hash: string
    name: string
    last_four: string
    scopes: string[]
    created_by: string
    created_at: Timestamp
    last_used_at: Date | null
    revoked_at: Date | null
  }
  settings: { name: string; value: string }
  /** The totals of each day (UTC) in the operator's overview; a background task writes them */
  daily_totals: {
    day: string
    /** Credits given to and taken from accounts other than by jobs: starter credits, grants, adjustments */
    granted: number
    taken: number
    /** Top-ups, and refunds of jobs; null: computed by an earlier release, which counts both as granted */
    bought: number | null
    refunded: number | null
    /** What jobs reserved, and what they have cost so far */
    held: number
    spent: number
    /** Jobs in progress, and ended jobs by outcome; a job that failed because its hold expired counts as expired only */
    started: number
    completed: number
    failed: number
    expired: number
    /** Paid purchases */
    purchases: number
    credits_bought: number
    gathered_at: Timestamp
  }
  /** Stored results of slow reads: the last verification of the ledger, sums over all accounts */
  statistics: { name: string; value: ColumnType<Record<string, unknown>, string, string>; gathered_at: Timestamp }
}

/** Parses an int8. @throws {RangeError} beyond ±(2^53 - 1), where a number is not exact */
export function safeInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError('an int8 value exceeds the safe integer range')
  return value
}

/** A database, one connection of it, or a transaction. */
export type Db = Kysely<Tables>
