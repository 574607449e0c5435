import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config.ts'
import type { Db } from '../db/tables.ts'
import type { Ledger } from '../ledger/operations.ts'
import { localProvider } from './local.ts'
import { registerExamplePacks } from './packs.ts'
import type { Payments } from './types.ts'

/** @returns what buying needs; undefined: the service sells no credits. Stripe's package is loaded only if Stripe is configured. */
export async function createPayments(
  config: Config,
  { db, ledger, log }: { db: Db; ledger: Ledger; log: FastifyBaseLogger },
): Promise<Payments | undefined> {
  const { stripe, selling, publicUrl } = config
  if (selling === undefined) return undefined
  if (!stripe) await registerExamplePacks(db)
  const provider = stripe ? await (await import('./stripe.ts')).stripeProvider(stripe, log) : localProvider(publicUrl)
  return { db, ledger, log, provider, publicUrl }
}
