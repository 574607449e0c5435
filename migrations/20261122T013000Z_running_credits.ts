import { type Kysely, sql } from 'kysely'

/**
 * A running balance that skips reserves it cannot cover; a plain running sum would count them and refuse those after. The release
 * that used it posted batches by one statement. It stays for as long as that release may run beside this one.
 */
const statements = [
  // Parallel safe and immutable, as sum() is; the first call of a window has no balance yet.
  `create function credits_after(balance bigint, opening bigint, delta bigint, must_be_covered boolean) returns bigint
    immutable parallel safe language plpgsql as $$
    begin
      balance := coalesce(balance, opening);
      return case when must_be_covered and balance + delta < 0 then balance else balance + delta end;
    end $$`,
  `create aggregate running_credits (opening bigint, delta bigint, must_be_covered boolean)
    (sfunc = credits_after, stype = bigint, parallel = safe)`,
  // Checks each entry, because accounts_range sees only the final balance of a batch. Not validated for older rows.
  `alter table ledger_entries add constraint ledger_entries_range check (balance_after >= -9007199254740991) not valid`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
