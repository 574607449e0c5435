import { announce, announcing } from '../webhooks/outbox.ts'
import type { Reservation } from './reserve.ts'
import { type Ended, type EndWish, maySettle, metadataKept } from './settle.ts'
import { JOB } from './statements.ts'

/**
 * The SQL that posts many operations at once: what reserveHold and end do for one, for arrays of them, in their order
 * within each account. It is made twice: over many accounts, and over one that is a parameter of its own, which is what a
 * database sharded by account can route.
 */

/** The two kinds of operation, by name as the columns of arrays. */
const RESERVE = {
  n: 'int',
  account_id: 'uuid',
  job_id: 'uuid',
  app: 'text',
  action: 'text',
  cost: 'bigint',
  metadata: 'text',
  idempotency_key: 'text',
  request_hash: 'text',
  ttl_seconds: 'int',
  ttl_without_key: 'boolean',
} satisfies Record<'n' | keyof Reservation, string>
const END = {
  n: 'int',
  account_id: 'uuid',
  job_id: 'uuid',
  key_of: 'text',
  status: 'text',
  actual_cost: 'bigint',
  refund_kind: 'text',
  metadata: 'text',
} satisfies Record<'n' | Exclude<keyof EndWish, 'failure_reason'>, string>

/**
 * Credits: an account that owes more is not posted with others, nor an ending that costs more than a thousandth of it. So
 * a balance at the end of what a number can say does not make the batch fail for all.
 */
export const FAR = 1_000_000_000_000_000

/** One operation: either */
export type Wish = { reserve: Reservation; end?: never } | { end: EndWish; reserve?: never }

/** What became of the n-th operation; with `n` null it says only that the account was there and open. */
export type PostedRow = Ended & { n: number | null; account_id: string }

/** The parameters of a batch. @param accounts ids of all its accounts; with the statement over one, that one's */
export function batchOf(wishes: Wish[], accounts: string[]): Record<string, unknown> {
  const numbered = wishes.map((wish, n) => ({ ...wish, n }))
  const reserves = numbered.flatMap(({ reserve, n }) => (reserve ? [{ ...reserve, n }] : []))
  const ends = numbered.flatMap(({ end, n }) => (end ? [{ ...end, n }] : []))
  const params: Record<string, unknown> = { account_ids: accounts, account_id: accounts[0] }
  for (const name of namesOf(RESERVE)) params[`r_${name}`] = reserves.map((wish) => wish[name])
  for (const name of namesOf(END)) params[`e_${name}`] = ends.map((wish) => wish[name])
  return params
}

const namesOf = <Name extends string>(columns: Record<Name, string>) => Object.keys(columns) as Name[]

/** Over many accounts. One that somebody else has locked is left out: nobody waits for another's account. */
export const postMany = batchStatement('post_many', 'many')

/** Over one account, whose lock it waits for. */
export const postToOne = batchStatement('post_to_one', 'one')

function batchStatement(name: string, over: 'many' | 'one') {
  const one = over === 'one'
  /** SQL: the account of a row of `table` */
  const accountOf = (table: string) => (one ? '$account_id::uuid' : `${table}.account_id`)
  const given = (prefix: string, columns: Record<string, string>) => {
    const own = Object.entries(columns).filter(([column]) => !(one && column === 'account_id'))
    return `select given.*${one ? ', account.id as account_id' : ''}, opening_credits, opening_held, opening_seq
      from unnest(${own.map(([column, type]) => `$${prefix}_${column}::${type}[]`).join(', ')})
        as given (${own.map(([column]) => column).join(', ')})
        join account on ${one ? 'true' : 'account.id = given.account_id'}`
  }
  const inOrder = `over (partition by account_id order by n)`
  const announced = (which: string, job?: { json: string; status: string }) =>
    announce(
      `(select * from posted where ${which}) as posted`,
      'endpoint.app_slug = posted.app_slug',
      { after: 'posted.credits', before: 'posted.credits_before' },
      job,
      accountOf('posted'),
    )

  return announcing<Record<string, unknown>, PostedRow>(
    name,
    (told) => `with account as (
      select id, credits as opening_credits, held as opening_held, seq as opening_seq from accounts
      where ${one ? 'id = $account_id::uuid' : `id = any($account_ids::uuid[]) and credits > -${FAR}`} and closed_at is null
      order by id for no key update${one ? '' : ' skip locked'}
    ), wish as materialized (
      ${given('r', RESERVE)}
    ), ending as materialized (
      ${given('e', END)}
    ), job as (
      update jobs
      set status = ending.status, actual_cost = coalesce(ending.actual_cost, jobs.reserved),
        failure_reason = null, updated_at = now(),
        metadata = case when ending.metadata is null then jobs.metadata
          else merge_metadata(jobs.metadata, ending.metadata::jsonb) end
      from ending
      where jobs.account_id = ${accountOf('ending')} and jobs.id = ending.job_id
        ${one ? 'and jobs.id = any($e_job_id::uuid[])' : ''} and jobs.status || '' = 'started'
        and ${maySettle('ending.key_of')}
      returning ending.n, ending.refund_kind, ending.account_id, opening_credits, opening_held, opening_seq, ${JOB},
        ${metadataKept('ending.metadata')}
    ), operation as (
      select n, opening_credits, opening_held, opening_seq, ${accountOf('wish')} as account_id, true as reserves,
        -cost as delta, cost as holds, 'job_reserve' as kind, job_id as id, app as app_slug, action,
        'started' as status, cost as reserved, 0::bigint as actual_cost, metadata::jsonb as metadata,
        null as failure_reason, now() + make_interval(secs => ttl_seconds) as expires_at, now() as created_at,
        now() as updated_at, false as metadata_kept, idempotency_key, request_hash, ttl_seconds
      from wish
      where (not ttl_without_key
          or (select true from apps where slug = wish.app and settle_key_hash is not null limit 1) is null)
        and (idempotency_key is null or (select true from jobs where jobs.account_id = ${accountOf('wish')}
          and jobs.idempotency_key = wish.idempotency_key limit 1) is null)
      union all
      select n, opening_credits, opening_held, opening_seq, account_id, false,
        reserved - actual_cost, -reserved, case when reserved > actual_cost then refund_kind else 'job_overage' end,
        id, app_slug, action, status, reserved, actual_cost, metadata, failure_reason, expires_at, created_at,
        updated_at, metadata_kept, null, null, null
      from job
    ), running as (
      select *, running_credits(opening_credits, delta, reserves) ${inOrder} as credits from operation
    ), judged as (
      select *, coalesce(lag(credits) ${inOrder}, opening_credits) as credits_before from running
    ), posted as (
      select *, opening_held + sum(holds) ${inOrder} as held,
        opening_seq + count(*) filter (where delta <> 0) ${inOrder} as seq
      from judged where not reserves or credits_before + delta >= 0
    ), balance as (
      update accounts
      set credits = accounts.credits + tally.delta, held = accounts.held + tally.holds, seq = accounts.seq + tally.entries
      from (
        select account_id, sum(delta)::bigint as delta, sum(holds)::bigint as holds,
          count(*) filter (where delta <> 0) as entries
        from posted group by account_id
      ) as tally
      where accounts.id = ${accountOf('tally')}
    ), created as (
      insert into jobs (account_id, id, app_slug, action, reserved, metadata, idempotency_key, request_hash, ttl_seconds,
        expires_at)
      select ${accountOf('posted')}, id, app_slug, action, reserved, metadata, idempotency_key, request_hash, ttl_seconds,
        expires_at
      from posted where reserves
    ), entry as (
      insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after)
      select ${accountOf('posted')}, seq, id, kind, delta, credits from posted where delta <> 0
    )${told}
    select posted.n, account.id as account_id, posted.id, app_slug, action, status, reserved, actual_cost,
      case when not reserves then metadata end as metadata, failure_reason, expires_at, created_at, updated_at,
      metadata_kept, credits, held::bigint as held
    from account left join posted on posted.account_id = account.id`,
    announced('reserves'),
    announced('not reserves', {
      json: `(select to_jsonb(job) from (select ${JOB.replaceAll('jobs.', 'posted.')}) as job)`,
      status: 'posted.status',
    }),
  )
}
