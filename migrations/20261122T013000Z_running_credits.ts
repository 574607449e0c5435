import { type Kysely, sql } from 'kysely'

/**
 * An aggregate for a running balance that skips reserves which it cannot cover; a running sum would count them and refuse later ones. It was
 * used by a release that posted a batch with one statement, and stays for as long as that release may run together with this one.
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
  // Checks each entry, because accounts_range checks only the final balance of a batch. Not validated for older rows.
  `alter table ledger_entries add constraint ledger_entries_range check (balance_after >= -9007199254740991) not valid`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
