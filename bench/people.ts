import { generateKeyPairSync, sign } from 'node:crypto'
import { promisify } from 'node:util'
import { accountIdOf } from '../src/accounts/account-id.ts'

/** Issues tokens like Clerk's: a key, its configuration for the service, and signed-in people. */

const signed = promisify(sign)
const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
const HEADER = encoded({ alg: 'RS256', kid: 'ins_bench', typ: 'JWT' })
const ISSUER = 'https://clerk.bench.example.com'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

/** The environment with which the service accepts the tokens below, in the code that runs in production. */
export const identityEnv = {
  CLERK_SECRET_KEY: 'sk_test_bench',
  CLERK_PUBLISHABLE_KEY: `pk_test_${Buffer.from('clerk.bench.example.com$').toString('base64')}`,
  CLERK_JWT_KEY: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  ADMIN_CLERK_IDS: 'user_administrator',
}

export interface Person {
  clerkId: string
  accountId: string
}

export const person = (clerkId: string): Person => ({ clerkId, accountId: accountIdOf(clerkId) })

/** The administrator, who may read the sums of all accounts. */
export const ADMINISTRATOR = person(identityEnv.ADMIN_CLERK_IDS)

/** The Clerk ids of people, by number; the same in every run. */
export const peopleOf = (count: number): Person[] =>
  Array.from({ length: count }, (_, i) => person(`user_${String(i).padStart(27, '0')}`))

let minted = 0

/**
 * A new session JWT with the claims of Clerk's. It is valid for an hour, so that tokens do not expire during a run. What a token
 * costs that the service has not seen before is measured separately.
 */
export async function mint({ clerkId }: Person): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const claims = { exp: now + 3600, iat: now, nbf: now - 10, iss: ISSUER, sub: clerkId, sid: `sess_${++minted}`, v: 2 }
  const content = `${HEADER}.${encoded(claims)}`
  return `${content}.${(await signed('sha256', Buffer.from(content), privateKey)).toString('base64url')}`
}
