import type { Db } from '../db/tables.ts'
import { type Verification, verify } from '../ledger/verify.ts'
import { keepStatistic, readStatistic } from './totals.ts'

/** The last verification of the ledger, as the overview shows it. */
interface LastCheck {
  ok: boolean
  checks: number
  /** Names of the invariants that did not hold */
  broken: string[]
}

const running = new WeakMap<Db, Promise<Verification>>()

/** Verifies the ledger and stores the result. That reads all entries, so concurrent calls share one verification. */
export function checkLedger(db: Db): Promise<Verification> {
  const current = running.get(db) ?? check(db).finally(() => running.delete(db))
  running.set(db, current)
  return current
}

async function check(db: Db): Promise<Verification> {
  const result = await verify(db)
  await keepCheck(db, result)
  return result
}

/** Stores the result of a verification for the overview. */
export async function keepCheck(db: Db, { ok, checks }: Verification): Promise<void> {
  const broken = checks.filter(({ violations }) => violations > 0).map(({ name }) => name)
  await keepStatistic(db, 'verify', { ok, checks: checks.length, broken } satisfies LastCheck)
}

/** The stored result; undefined: the ledger was not verified since results are stored. */
export const readLastCheck = (db: Db) => readStatistic<LastCheck>(db, 'verify')
