import { type Kysely, sql } from 'kysely'

/**
 * What administrators have refunded of a job, and a cap on what a job may cost beyond its estimate. The previous release does not write the
 * new columns. The constraints are `not valid`: they hold for new rows, and adding them does not scan the tables.
 */
const statements = [
  'alter table jobs add column requested_cost bigint, add column refunded bigint not null default 0',
  // Citus takes ADD CONSTRAINT only alone, and no ADD COLUMN with a constraint.
  'alter table jobs add constraint jobs_requested_cost_check check (requested_cost > actual_cost) not valid',
  'alter table jobs add constraint jobs_refunded_check check (refunded between 0 and actual_cost) not valid',
  'alter table apps add column max_overage bigint, add column max_overage_percent integer',
  'alter table apps add constraint apps_max_overage_check check (max_overage between 0 and 9007199254740991)',
  'alter table apps add constraint apps_max_overage_percent_check check (max_overage_percent between 0 and 100000)',
  'alter table apps add constraint apps_check check (max_overage is null or max_overage_percent is null)',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
