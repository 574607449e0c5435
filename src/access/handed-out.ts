import type { FastifyInstance } from 'fastify'
import { decodeJwt } from 'jose'
import type { Db } from '../db/tables.ts'
import { hashOf } from './tokens.ts'

/**
 * Session JWTs that were sent in the query of a redirect, which logs and browser histories keep. Until they expire they open the
 * API. No token is minted from them, and they do not count as a person on our own pages.
 */

/**
 * To be called with each minted token before it leaves our pages. It is remembered where it travels in a query, or where the
 * identity gave it our own `azp`, which only tokens of our own pages may have; the other replicas see that at once.
 */
export async function handOut(
  { db, origins }: FastifyInstance,
  token: string,
  { inQuery = false } = {},
): Promise<void> {
  const { azp, exp } = decodeJwt<{ azp?: string }>(token)
  if (!inQuery && !origins.isOurs(azp)) return
  await db
    .insertInto('handed_out_tokens')
    .values({ token_hash: signedHash(token), expires_at: new Date(Number(exp) * 1000) })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** Whether a token was remembered. */
export async function wasHandedOut(db: Db, token: string): Promise<boolean> {
  const row = await db
    .selectFrom('handed_out_tokens')
    .select('token_hash')
    .where('token_hash', '=', signedHash(token))
    .executeTakeFirst()
  return row !== undefined
}

/**
 * The hash of what is signed, without the signature: several spellings of one signature verify (padding, unused bits of the last
 * base64url digit), and each would be another token.
 */
const signedHash = (token: string): string => hashOf(token.slice(0, token.lastIndexOf('.')))
