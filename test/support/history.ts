import type { Kysely } from 'kysely'
import type { Tables } from '../../src/db/tables.ts'

/**
 * Inserts entries dated in the past (gifts and corrections, oldest first), as the ledger would have written them.
 */
export async function past(db: Kysely<Tables>, account_id: string, movements: { at: Date; amount: number }[]) {
  for (const { at: created_at, amount } of movements) {
    const { seq, credits } = await db
      .updateTable('accounts')
      .set((row) => ({ credits: row('credits', '+', amount), seq: row('seq', '+', 1) }))
      .where('id', '=', account_id)
      .returning(['seq', 'credits'])
      .executeTakeFirstOrThrow()
    await db
      .insertInto('ledger_entries')
      .values({ account_id, seq, kind: 'adjustment', amount, balance_after: credits, created_at, job_id: null })
      .execute()
  }
}

export const daysAgo = (days: number): Date => new Date(Date.now() - days * 86_400_000)
