import { sql } from 'kysely'
import { isoTime, safeSum, statement } from '../db/statement.ts'
import type { Db, Tables } from '../db/tables.ts'
import { dayOf } from '../http/periods.ts'
import { firstJobId, lastJobId } from '../ledger/job-ids.ts'

/**
 * Sums over all accounts, and totals by day. A background task computes and stores them, so postings cost no more because of them. Days are
 * UTC. A job counts in the day in which it was created, whenever it ends.
 */

export const DAYS = 30
const DAY_MS = 86_400_000
/** For this many days, jobs that end later may change the totals of a day. */
const CHANGING_DAYS = 15
/** Statement timeout of computing them, in ms. */
const PATIENCE_MS = 60_000
/** They are computed again after at least this many times the duration of the last computation. */
const REST = 50
/** If computing takes less than this, in ms, a request computes them anew. */
const QUICK_MS = 30
/** ... unless they are younger than this, in ms. */
const FRESH_MS = 1_000

type Row = Omit<Tables['daily_totals'], 'gathered_at'>
export type DayTotals = { [Name in keyof Row]: NonNullable<Row[Name]> }

interface Totals {
  accounts: number
  closed_accounts: number
  /** To spend: of open accounts above zero */
  credits: number
  /** By open accounts below zero */
  owed: number
  /** On closed accounts, which spend nothing */
  closed_credits: number
  held: number
  /** Open accounts below zero */
  negative_accounts: number
  /** How long computing took, in ms */
  took: number
}

type Period = { from: Date; to: Date }
type None = Record<never, never>

const sumAccounts = statement<None, Omit<Totals, 'took'>>(
  'sum_accounts',
  `select count(*) as accounts, count(closed_at) as closed_accounts, ${safeSum('sum(held)')} as held,
    ${safeSum('sum(credits) filter (where credits > 0 and closed_at is null)')} as credits,
    ${safeSum('-sum(credits) filter (where credits < 0 and closed_at is null)')} as owed,
    ${safeSum('sum(credits) filter (where closed_at is not null)')} as closed_credits,
    count(*) filter (where credits < 0 and closed_at is null) as negative_accounts
  from accounts`,
)

const sumJobs = statement<
  Period & { first: string; last: string },
  Pick<DayTotals, 'held' | 'spent' | 'started' | 'completed' | 'failed' | 'expired'>
>(
  'sum_jobs_of_day',
  `select ${safeSum('sum(reserved)')} as held, ${safeSum('sum(actual_cost)')} as spent, count(*) filter (where status = 'started') as started,
    count(*) filter (where status = 'completed') as completed,
    count(*) filter (where status = 'failed' and failure_reason is distinct from 'expired') as failed,
    count(*) filter (where status = 'failed' and failure_reason = 'expired') as expired
  from jobs where id between $first::uuid and $last::uuid
    and created_at >= $from::timestamptz and created_at < $to::timestamptz`,
)

const IS_TOPUP = `kind in ('topup', 'topup_reinstated')`
const IS_REFUND = `kind = 'adjustment' and coalesce(reference, '') like 'refund:%'`

const sumGiven = statement<Period, Pick<DayTotals, 'granted' | 'taken' | 'bought' | 'refunded'>>(
  'sum_given_of_day',
  `select ${safeSum(`sum(amount) filter (where amount > 0 and not (${IS_TOPUP}) and not (${IS_REFUND}))`)} as granted,
    ${safeSum(`sum(amount) filter (where amount > 0 and ${IS_TOPUP})`)} as bought,
    ${safeSum(`sum(amount) filter (where amount > 0 and ${IS_REFUND})`)} as refunded,
    ${safeSum('-sum(amount) filter (where amount < 0)')} as taken
  from ledger_entries where job_id is null and created_at >= $from::timestamptz and created_at < $to::timestamptz`,
)

const sumPurchases = statement<Period, Pick<DayTotals, 'purchases' | 'credits_bought'>>(
  'sum_purchases_of_day',
  `select count(*) as purchases, ${safeSum('sum(credits)')} as credits_bought
  from purchases where status = 'paid' and paid_at >= $from::timestamptz and paid_at < $to::timestamptz`,
)

/** Exported for the test that checks their query plans. */
export const DAY_SUMS = [sumJobs, sumGiven, sumPurchases]

/** Computes and stores the sums, and the totals of the days that may have changed. */
export async function gatherTotals(db: Db, now = new Date()): Promise<void> {
  const began = performance.now()
  const due = await daysDue(db, now)
  const { sums, days } = await db.transaction().execute(async (trx) => {
    await sql.raw(`set local statement_timeout = ${PATIENCE_MS}`).execute(trx)
    const days: DayTotals[] = []
    for (const day of due) days.push(await totalsOf(trx, day))
    return { sums: (await sumAccounts(trx, {}))[0], days }
  })
  const gathered_at = now
  for (const day of days)
    await db
      .insertInto('daily_totals')
      .values({ ...day, gathered_at })
      .onConflict((conflict) => conflict.column('day').doUpdateSet({ ...day, gathered_at }))
      .execute()
  await keepStatistic(db, 'totals', { ...sums, took: Math.ceil(performance.now() - began) }, now)
}

async function totalsOf(db: Db, day: string): Promise<DayTotals> {
  const from = new Date(day)
  const to = new Date(from.getTime() + DAY_MS)
  const [jobs] = await sumJobs(db, { from, to, first: firstJobId(from), last: lastJobId(to) })
  const [given] = await sumGiven(db, { from, to })
  const [purchases] = await sumPurchases(db, { from, to })
  return { day, ...NOTHING, ...given, ...jobs, ...purchases }
}

const NOTHING = {
  ...{
    granted: 0,
    bought: 0,
    refunded: 0,
    taken: 0,
    held: 0,
    spent: 0,
    started: 0,
    completed: 0,
    failed: 0,
    expired: 0,
  },
  ...{ purchases: 0, credits_bought: 0 },
}

/** The days to compute: today and yesterday, earlier days that are missing, and once a day those that may still change. */
async function daysDue(db: Db, now: Date): Promise<string[]> {
  const rows = (await readRows(db, now)).filter(({ bought }) => bought !== null)
  const known = new Map(rows.map(({ day, gathered_at }) => [day, gathered_at]))
  return lastDays(now).filter((day, ago) => {
    const gathered = known.get(day)
    if (ago < 2 || !gathered) return true
    return ago <= CHANGING_DAYS && now.getTime() - gathered.getTime() > DAY_MS
  })
}

/** The last thirty days, today first. */
const lastDays = (now: Date) => Array.from({ length: DAYS }, (_, ago) => dayOf(new Date(now.getTime() - ago * DAY_MS)))

const readRows = (db: Db, now: Date) =>
  db
    .selectFrom('daily_totals')
    .selectAll()
    .select(sql<string>`to_char(day, 'YYYY-MM-DD')`.as('day'))
    .where('day', '>=', lastDays(now).at(-1) ?? '')
    .execute()

/**
 * Computes the sums unless the stored ones are recent. What takes long is repeated less often.
 * @param everyMs how old they may be at least
 */
export async function gatherDueTotals(db: Db, everyMs: number): Promise<void> {
  const kept = await readStatistic<Totals>(db, 'totals')
  if (kept && kept.age < Math.max(everyMs, REST * kept.value.took)) return
  await gatherTotals(db)
}

const gathering = new WeakMap<Db, Promise<void>>()

/** The stored sums, computed anew where that is quick. Days without totals are zero, today is the last one. */
export async function readTotals(db: Db): Promise<{ totals: Totals; gathered_at: string; days: DayTotals[] }> {
  let kept = await readStatistic<Totals>(db, 'totals')
  if (!kept || (kept.age > FRESH_MS && kept.value.took < QUICK_MS)) {
    const running = gathering.get(db) ?? gatherTotals(db).finally(() => gathering.delete(db))
    gathering.set(db, running)
    await running
    kept = await readStatistic<Totals>(db, 'totals')
  }
  if (!kept) throw new Error('no totals were kept')
  const now = new Date()
  const known = new Map(
    (await readRows(db, now)).map(({ gathered_at, ...day }) => [
      day.day,
      { ...day, bought: day.bought ?? 0, refunded: day.refunded ?? 0 },
    ]),
  )
  const days = lastDays(now)
    .toReversed()
    .map((day) => known.get(day) ?? { day, ...NOTHING })
  return { totals: kept.value, gathered_at: kept.gathered_at, days }
}

/** Stores the result of a slow read, by name. */
export async function keepStatistic(db: Db, name: string, value: object, gathered_at = new Date()): Promise<void> {
  const row = { value: JSON.stringify(value), gathered_at }
  await db
    .insertInto('statistics')
    .values({ name, ...row })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
    .execute()
}

/** A stored result, and its age in ms; undefined: none is stored. */
export async function readStatistic<Value>(
  db: Db,
  name: string,
): Promise<{ value: Value; gathered_at: string; age: number } | undefined> {
  const row = await db
    .selectFrom('statistics')
    .select(['value', sql<string>`${sql.raw(isoTime('gathered_at'))}`.as('gathered_at')])
    .where('name', '=', name)
    .executeTakeFirst()
  if (!row) return undefined
  return { value: row.value as Value, gathered_at: row.gathered_at, age: Date.now() - Date.parse(row.gathered_at) }
}
