import { type Kysely, sql } from 'kysely'

/**
 * Spending limits of tokens and grants, and which token or grant started a job. A reserve counts against each budget in `jobs.budget_ids`. The
 * previous release neither counts nor limits, so set budgets once every instance runs this release.
 */
const statements = [
  'alter table jobs add column token_id uuid, add column grant_id uuid, add column budget_ids uuid[]',

  // The id is that of a token or a grant. Without an amount, only the apps are limited. `spent` is what the jobs reserved since period_start
  // hold and cost. The two flags tell which webhooks were sent in the period.
  `create table budgets (
    account_id uuid not null,
    id uuid not null,
    amount bigint check (amount between 0 and 9007199254740991),
    period text check (period in ('day', 'week', 'month')),
    apps text[],
    spent bigint not null default 0 check (spent >= 0),
    period_start timestamptz not null default clock_timestamp(),
    low_told boolean not null default false,
    exceeded_told boolean not null default false,
    created_at timestamptz not null default clock_timestamp(),
    primary key (account_id, id)
  )`,

  // The chain of tokens that created a token. Their limits apply to it, and revoking any of them revokes it.
  `alter table tokens add column makers uuid[] not null default '{}'`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
