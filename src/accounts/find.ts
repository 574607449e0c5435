import type { Db } from '../db/tables.ts'
import { accountNotFound } from '../http/catalogue.ts'

/** The columns of an account that administrators see. @throws {ApiError} 404 account_not_found */
export async function findAccount(db: Db, id: string) {
  const account = await db
    .selectFrom('accounts')
    .select(['id', 'clerk_id', 'plan', 'credits', 'held'])
    .where('id', '=', id)
    .executeTakeFirst()
  if (!account) throw accountNotFound()
  return account
}
