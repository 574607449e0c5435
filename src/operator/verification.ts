import type { Db } from '../db/tables.ts'
import { type Verification, verify } from '../ledger/verify.ts'
import { keepStatistic, readStatistic } from './totals.ts'

/** The last check of the ledger, as the overview shows it. */
export interface LastCheck {
  ok: boolean
  checks: number
  /** Names of the invariants that did not hold */
  broken: string[]
}

const running = new WeakMap<Db, Promise<Verification>>()

/** Checks the ledger and keeps the result. A check reads everything, so there is one at a time: who asks meanwhile gets its result. */
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

/** Keeps the result of a check. */
export async function keepCheck(db: Db, { ok, checks }: Verification): Promise<void> {
  const broken = checks.filter(({ violations }) => violations > 0).map(({ name }) => name)
  await keepStatistic(db, 'verify', { ok, checks: checks.length, broken } satisfies LastCheck)
}

/** undefined: the ledger was never checked by this release. */
export const readLastCheck = (db: Db) => readStatistic<LastCheck>(db, 'verify')
