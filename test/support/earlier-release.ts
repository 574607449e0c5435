import { readdir } from 'node:fs/promises'
import { sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { accountIdOf } from '../../src/accounts/account-id.ts'
import type { Db } from '../../src/db/tables.ts'

/** The schema and some rows of release 0.1.0, for tests of the upgrade. */

export const MIGRATIONS = new URL('../../migrations/', import.meta.url)
const LAST = '20261122T020000Z_negative_entries'

/** Brings an empty database to the schema of 0.1.0. */
export async function migrateToEarlier(db: Db): Promise<void> {
  const names = (await readdir(MIGRATIONS)).filter((file) => file.slice(0, -3) <= LAST)
  const migrations = Object.fromEntries(
    await Promise.all(names.map(async (file) => [file.slice(0, -3), await import(new URL(file, MIGRATIONS).href)])),
  )
  const { error } = await new Migrator({ db, provider: { getMigrations: async () => migrations } }).migrateToLatest()
  if (error) throw error
}

/** Somebody with 10 credits and a hold of 5, whose entries name an operator by Clerk id. */
export async function insertEarlierRows(db: Db): Promise<void> {
  const [ada, job] = [accountIdOf('user_ada'), '0195a1f0-0000-7000-8000-00000000000a']
  await sql
    .raw(`
    insert into accounts (id, clerk_id, credits, held, seq) values ('${ada}', 'user_ada', 10, 5, 3);
    insert into apps (slug, starter_credits) values ('video', 0);
    insert into jobs (account_id, id, app_slug, action, reserved, expires_at)
      values ('${ada}', '${job}', 'video', 'render', 5, now() + interval '1 day');
    insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after, reference, actor) values
      ('${ada}', 1, null, 'admin_grant', 20, 20, 'a', 'user_operator'),
      ('${ada}', 2, null, 'adjustment', -5, 15, 'b', 'user_operator'),
      ('${ada}', 3, '${job}', 'job_reserve', -5, 10, null, null);`)
    .execute(db)
}

/** The entries, as they are stored. */
export const earlierEntries = async (db: Db): Promise<{ actor: string | null }[]> =>
  (await sql<{ actor: string | null }>`select * from ledger_entries order by seq`.execute(db)).rows
