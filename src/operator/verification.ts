import type { Db } from '../db/tables.ts'
import { type Verification, verify } from '../ledger/verify.ts'
import { keepStatistic, readStatistic } from './totals.ts'

/** The last verification of the ledger, as the overview shows it. */
interface LastCheck {
  ok: boolean
  checks: number
  /** Names of the invariants that did not hold */
  broken: string[]
  /** Absent: it was stored by an earlier release */
  results?: Verification['checks']
  /** How long it took */
  ms?: number
}

const running = new WeakMap<Db, Promise<Verification>>()

/** Verifies the ledger and stores the result. That reads all entries, so concurrent calls share one verification. */
export function checkLedger(db: Db): Promise<Verification> {
  const current = running.get(db) ?? check(db).finally(() => running.delete(db))
  running.set(db, current)
  return current
}

async function check(db: Db): Promise<Verification> {
  const began = performance.now()
  const result = await verify(db)
  await keepCheck(db, result, performance.now() - began)
  return result
}

/** Stores the result of a verification for the overview and the console. @param ms how long it took */
export async function keepCheck(db: Db, { ok, checks: results }: Verification, ms?: number): Promise<void> {
  const broken = results.filter(({ violations }) => violations > 0).map(({ name }) => name)
  const kept: LastCheck = { ok, checks: results.length, broken, results, ...(ms !== undefined && { ms }) }
  await keepStatistic(db, 'verify', kept)
}

/** The stored result; undefined: the ledger was not verified since results are stored. */
export const readLastCheck = (db: Db) => readStatistic<LastCheck>(db, 'verify')
