import { type Kysely, sql } from 'kysely'

/**
 * Holds expire. The sweeper finds overdue holds by a partial index on the started jobs, and a heartbeat extends a hold by the time that
 * its job was created with (null, which the previous release writes: the configured time).
 *
 * A started job's actual_cost is always 0. The extra condition keeps Postgres from using this index for settling one job: on
 * empty tables it would cost as little as the primary key.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table jobs add column ttl_seconds integer check (ttl_seconds between 60 and 604800)`.execute(db)
  await sql`create index jobs_overdue on jobs (expires_at, account_id, id) where status = 'started' and actual_cost = 0`.execute(
    db,
  )
}
