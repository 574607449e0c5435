import { LRUCache } from 'lru-cache'
import { v5 as uuidv5 } from 'uuid'

/** The pattern of Clerk's user ids. */
export const CLERK_USER_ID = '^user_[A-Za-z0-9_-]{1,64}$'

/** The UUIDv5 namespace of account ids. It must never change: all account ids derive from it. */
const ACCOUNT_NAMESPACE = '6f1f7f0e-54c8-4a37-9a55-2d5ad6a25e0b'
const accountIds = new LRUCache<string, string>({ max: 10_000 })

/** The account id of a Clerk user, a UUIDv5. It is derived, so the first request of an account needs no lookup and cannot race. */
export function accountIdOf(clerkId: string): string {
  let id = accountIds.get(clerkId)
  if (id === undefined) {
    id = uuidv5(clerkId, ACCOUNT_NAMESPACE)
    accountIds.set(clerkId, id)
  }
  return id
}
