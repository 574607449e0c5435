import { type Kysely, sql } from 'kysely'

/** The webhook events of budgets. The previous release does not write them. */
const statements = [
  'alter table webhook_endpoints drop constraint webhook_endpoints_events_check',
  `alter table webhook_endpoints add constraint webhook_endpoints_events_check check (cardinality(events) > 0
    and events <@ '{job.completed, job.failed, account.low, account.recovered, account.negative, budget.low, budget.exceeded}'::text[])`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
