import { sql } from 'kysely'
import type { Db } from '../db/tables.ts'
import { EXPLANATIONS, type Explanation, type Invariant } from './explanations.ts'
import { PAYMENTS } from './rules.ts'

/** What a check looks at may take minutes on a large ledger; requests have 5 s. In ms. */
const PATIENCE_MS = 120_000
const EXAMPLES = 10
/** What Postgres may hold in memory for one step of a query; beyond it, it uses its disk. */
const MEMORY = '32MB'

type Queries = Partial<Record<Invariant, string>>

/** The invariants. Each is a query that returns no row while the ledger is right; what it returns names the culprit. */
const CHECKS: Queries = {
  'credits equal the sum of the entries': `
    select a.id as account_id, a.credits, coalesce(e.total, 0)::text as entries
    from accounts a left join (select account_id, sum(amount) as total from ledger_entries group by account_id) e
      on e.account_id = a.id
    where a.credits <> coalesce(e.total, 0)`,

  'every balance follows from the one before, without gaps': `
    select account_id, seq, balance_after from (
      select account_id, seq, amount, balance_after, row_number() over w as expected,
        lag(balance_after, 1, 0::bigint) over w as previous
      from ledger_entries window w as (partition by account_id order by seq)) chain
    where seq <> expected or balance_after <> previous + amount
    union all
    select a.id, a.seq, a.credits from accounts a
    left join (select account_id, max(seq) as last from ledger_entries group by account_id) e on e.account_id = a.id
    where a.seq <> coalesce(e.last, 0)`,

  'held equals what the started jobs reserve': `
    select a.id as account_id, a.held, coalesce(j.total, 0)::text as reserved
    from accounts a left join (
      select account_id, sum(reserved) as total from jobs where status = 'started' group by account_id) j
      on j.account_id = a.id
    where a.held <> coalesce(j.total, 0)`,

  "every job and every entry has its account, and a job's entry its job": `
    select account_id, null::uuid as job_id from (select distinct account_id from jobs) j
    where not exists (select from accounts where id = j.account_id)
    union all
    select account_id, null from (select distinct account_id from ledger_entries) e
    where not exists (select from accounts where id = e.account_id)
    union all
    select account_id, job_id from (
      select distinct account_id, job_id from ledger_entries where job_id is not null) e
    where not exists (select from jobs where jobs.account_id = e.account_id and jobs.id = e.job_id)`,

  'no job was reserved below zero': `
    select account_id, seq, job_id, balance_after from ledger_entries where kind = 'job_reserve' and balance_after < 0`,

  'each grant has one equal starter entry, and the reverse': `
    select coalesce(g.account_id, e.account_id) as account_id, coalesce('starter_grant:' || g.app_slug, e.reference) as reference,
      g.credits, e.total::text as entries
    from (select * from app_grants where credits > 0) g
    full join (select account_id, reference, sum(amount) as total, count(*) as n from ledger_entries
      where kind = 'starter_grant' group by account_id, reference) e
      on e.account_id = g.account_id and e.reference = 'starter_grant:' || g.app_slug
    where g.account_id is null or e.account_id is null or e.n <> 1 or e.total <> g.credits`,

  'over all accounts, credits and holds equal what was given less what jobs cost': `
    select balances::text, given::text, cost::text from
      (select coalesce(sum(credits), 0) + coalesce(sum(held), 0) as balances from accounts) a,
      (select coalesce(sum(amount), 0) as given from ledger_entries where job_id is null) e,
      (select coalesce(sum(actual_cost), 0) as cost from jobs where status <> 'started') j
    where balances <> given - cost`,

  'no entry is zero, and no reference stands twice in an account': `
    select account_id, seq, reference from ledger_entries where amount = 0
    union all
    select account_id, max(seq), reference from ledger_entries where reference is not null
    group by account_id, reference having count(*) > 1`,
}

/**
 * Three more, which all need the entries of every job: grouping a million of them three times was most of the time.
 * Kinds are bits: their sum is their union as long as each is there once.
 */
const JOB_CHECKS: Invariant[] = [
  'a started job has taken what it reserves',
  'an ended job has taken what it cost',
  'a job has each kind of entry once, and never both refund and overage',
]
const PER_JOB = `
  with entries as (
    select account_id, job_id, sum(amount) as total, sum(bit) as kinds_counted, bit_or(bit) as kinds
    from (select account_id, job_id, amount, case kind when 'job_reserve' then 1 when 'job_refund' then 2
        when 'job_overage' then 4 when 'job_release' then 8 when 'job_expire' then 16 else 32 end as bit
      from ledger_entries where job_id is not null) entry
    group by account_id, job_id
  ), jobs_and_entries as (
    select coalesce(j.account_id, e.account_id) as account_id, coalesce(j.id, e.job_id) as job_id, j.reserved,
      j.actual_cost, coalesce(e.total, 0)::text as entries, e.kinds, e.kinds_counted,
      j.status = 'started' and coalesce(e.total, 0) <> -j.reserved as started_wrong,
      j.status <> 'started' and coalesce(e.total, 0) <> -j.actual_cost as ended_wrong,
      e.kinds <> e.kinds_counted or e.kinds & 6 = 6 as kinds_wrong
    from jobs j full join entries e on e.account_id = j.account_id and e.job_id = j.id
  )
  select nth, to_jsonb(wrong) - '{started_wrong, ended_wrong, kinds_wrong}'::text[] as row
  from jobs_and_entries wrong cross join lateral
    (values (0, started_wrong), (1, ended_wrong), (2, kinds_wrong)) as v (nth, broken)
  where (started_wrong or ended_wrong or kinds_wrong) and broken`

/** Of purchases, of what administrators gave back of jobs, and of budgets. */
const MORE_CHECKS: Queries = {
  'each paid purchase has one equal topup, and the reverse': `
    select coalesce(p.account_id, e.account_id) as account_id, p.id as purchase_id, coalesce(p.reference, e.reference) as reference,
      p.credits, e.total::text as entries
    from (select account_id, id, reference, credits from purchases where status = 'paid') p
    full join (select account_id, reference, sum(amount) as total, count(*) as n from ledger_entries
      where kind = 'topup' and actor = '${PAYMENTS}' group by account_id, reference) e
      on e.account_id = p.account_id and e.reference = p.reference
    where p.account_id is null or e.account_id is null or e.n <> 1 or e.total <> p.credits`,

  'a purchase has given back what its refunds took, and never more than it gave': `
    select coalesce(p.account_id, e.account_id) as account_id, p.purchase_id, coalesce(p.refund, e.refund) as refund,
      p.credits, e.total::text as entries
    from (select account_id, id as purchase_id, refund ->> 'id' as refund, (refund ->> 'credits')::bigint as credits
      from purchases, jsonb_array_elements(refunds) as refund) p
    full join (select account_id, split_part(reference, ':', 2) as refund, -sum(amount) as total from ledger_entries
      where kind in ('topup_refund', 'topup_reinstated') group by account_id, split_part(reference, ':', 2)) e
      on e.account_id = p.account_id and e.refund = p.refund
    where coalesce(p.credits, 0) <> coalesce(e.total, 0)
    union all
    select account_id, id, null, taken_back, total::text from (
      select account_id, id, credits, taken_back,
        (select coalesce(sum((refund ->> 'credits')::bigint), 0) from jsonb_array_elements(refunds) as refund) as total
      from purchases) sums
    where taken_back <> total or taken_back not between 0 and credits`,

  "a job's refunds are the entries that name it, and never exceed its cost": `
    select coalesce(j.account_id, e.account_id) as account_id, coalesce(j.id::text, e.job_id) as job_id, j.refunded, j.actual_cost,
      e.total::text as entries
    from (select account_id, id, refunded, actual_cost from jobs where refunded <> 0) j
    full join (select account_id, substring(reference from 8 for 36) as job_id, sum(amount) as total from ledger_entries
      where reference ~ '^refund:[0-9a-f]{8}-[0-9a-f-]{27}(:[0-9]+)?$' group by 1, 2) e
      on e.account_id = j.account_id and e.job_id = j.id::text
    where j.id is null or e.job_id is null or e.total <> j.refunded or j.refunded > j.actual_cost`,

  'what a budget has spent in its period is what the jobs of that hold and cost': `
    select b.account_id, b.id as budget_id, b.spent, coalesce(sum(j.counted), 0)::text as jobs
    from budgets b left join (
      select account_id, budget_id, created_at, case status when 'started' then reserved else actual_cost end as counted
      from jobs, unnest(budget_ids) as budget_id) j
      on j.account_id = b.account_id and j.budget_id = b.id and j.created_at >= b.period_start
    group by b.account_id, b.id, b.spent having b.spent <> coalesce(sum(j.counted), 0)`,
}

/** Names of checks, and a query that returns a row `(nth, row)` for whatever breaks the nth of them. */
const QUERIES: { names: Invariant[]; query: string }[] = [
  ...alone(CHECKS),
  { names: JOB_CHECKS, query: PER_JOB },
  ...alone(MORE_CHECKS),
]

function alone(checks: Queries) {
  return Object.entries(checks).map(([name, query]) => ({
    names: [name as Invariant],
    query: `select 0 as nth, to_jsonb(violation) as row from (${query}) violation`,
  }))
}

export interface Verification {
  ok: boolean
  checks: ({
    name: Invariant
    /** How many rows break it */
    violations: number
    /** The first of them */
    examples: Record<string, unknown>[]
  } & Explanation)[]
}

/**
 * Runs every invariant of the ledger in one snapshot, while the service goes on. Its memory does not grow with the ledger,
 * here or in Postgres.
 * @throws {DatabaseUnavailable} after two minutes for one query
 */
export async function verify(db: Db): Promise<Verification> {
  const checks = await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (trx) => {
      await sql.raw(`set local statement_timeout = ${PATIENCE_MS}`).execute(trx)
      await sql.raw(`set local work_mem = '${MEMORY}'`).execute(trx)
      const results: Verification['checks'] = []
      for (const { names, query } of QUERIES) {
        const { rows } = await sql
          .raw<{ nth: number; total: number; row: Record<string, unknown> }>(
            `select nth, total, row from (
              select nth, row, count(*) over w as total, row_number() over w as place from (${query}) violation
              window w as (partition by nth)) violations
            where place <= ${EXAMPLES}`,
          )
          .execute(trx)
        for (const [nth, name] of names.entries()) {
          const mine = rows.filter((row) => row.nth === nth)
          const examples = mine.map(({ row }) => row)
          results.push({ name, violations: mine[0]?.total ?? 0, examples, ...EXPLANATIONS[name] })
        }
      }
      return results
    })
  return { ok: checks.every(({ violations }) => violations === 0), checks }
}
