import { type Kysely, sql } from 'kysely'

/**
 * The event `account.recovered`. Account events go to every registered app that the account has used. The previous release recorded an app
 * only at a visit, so the apps of earlier jobs are recorded here. It ignores the new event.
 */
const statements = [
  'alter table webhook_endpoints drop constraint webhook_endpoints_events_check',
  `alter table webhook_endpoints add constraint webhook_endpoints_events_check check (cardinality(events) > 0
    and events <@ '{job.completed, job.failed, account.low, account.recovered, account.negative}'::text[])`,
  `insert into app_grants (account_id, app_slug)
    select jobs.account_id, jobs.app_slug from jobs join apps on apps.slug = jobs.app_slug
    group by jobs.account_id, jobs.app_slug on conflict do nothing`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
