import type { Scope } from '../db/tables.ts'

/** What a token of a device can be for. */
export const SCOPES = ['account', 'oauth', 'admin'] as const satisfies Scope[]

/**
 * The scopes that a client asks for, each once; `account` where it asks for none.
 * @param text names separated by spaces
 * @returns undefined where one of them is not `known`
 */
export function readScopes(text = '', known: readonly Scope[]): Scope[] | undefined {
  const requested = new Set(text.split(/\s+/).filter(Boolean)) as Set<Scope>
  if (![...requested].every((scope) => known.includes(scope))) return undefined
  return requested.size ? [...requested] : ['account']
}
