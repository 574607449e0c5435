import { type Kysely, sql } from 'kysely'

/**
 * What posting many operations at once needs: the balance after each of them, in their order, where one that must be
 * covered and is not leaves the balance as it was. A plain running sum would count it, and refuse those after it.
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
  // Together, one operation may leave the range and another come back into it: the account's own check sees only the end.
  // What is there already came one by one.
  `alter table ledger_entries add constraint ledger_entries_range check (balance_after >= -9007199254740991) not valid`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
