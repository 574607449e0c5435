import { type Kysely, sql } from 'kysely'

/**
 * What a token or a grant may spend, and which of them made a job. A reserve counts against each budget of `jobs.budget_ids`. The
 * previous release ignores all of this: it neither counts nor limits, so set budgets once every instance runs this release.
 */
const statements = [
  'alter table jobs add column token_id uuid, add column grant_id uuid, add column budget_ids uuid[]',

  // The id is that of a token or a grant. Without an amount only the apps are limited. `spent` is what jobs hold and cost that were
  // reserved since period_start; the two flags say which webhooks the period has had.
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

  // The tokens that a token comes from: what made it, what made that, and so on. They limit it, and it ends with each of them.
  `alter table tokens add column makers uuid[] not null default '{}'`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
