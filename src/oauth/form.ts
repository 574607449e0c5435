import { badParameter, invalidTarget, secretNotTaken } from './problems.ts'

export const FORM = ['application/x-www-form-urlencoded']

const MAX_CLIENT_ID = 1_000

/** The parameters of a request, each at most once; one without a value is absent (RFC 6749, section 3.1). */
export type Form<Name extends string> = { [K in Name]?: string }

/**
 * The named parameters of a form or a query; others are ignored.
 * @param given as the parser made it: a parameter that stands there twice is an array
 * @throws {ApiError} 400 invalid_request for a repeated one; invalid_target for `resource`, because a token is for one
 */
export function readForm<Name extends string>(given: unknown, names: readonly Name[]): Form<Name> {
  const form: Form<Name> = {}
  for (const name of names) {
    const value = (given as Record<string, unknown> | undefined)?.[name]
    if (Array.isArray(value)) throw name === 'resource' ? invalidTarget() : badParameter(name, 'is there twice')
    if (typeof value !== 'string' || value === '') continue
    // Postgres takes neither, and no parameter has a use for them.
    if (value.includes('\0') || !value.isWellFormed()) throw badParameter(name, 'is not well-formed text')
    form[name] = value
  }
  return form
}

/** The value of a parameter that must be there. @throws {ApiError} 400 invalid_request */
export function needed<Name extends string>(form: Form<Name>, name: Name): string {
  const value = form[name]
  if (value === undefined) throw badParameter(name, 'is missing')
  return value
}

/** The client that a form names. @throws {ApiError} 400 invalid_request without one; invalid_client beside a secret, which nobody should send us */
export function publicClientOf(form: Form<'client_id' | 'client_secret'>): string {
  const client_id = needed(form, 'client_id')
  if (client_id.length > MAX_CLIENT_ID) throw badParameter('client_id', `is longer than ${MAX_CLIENT_ID} characters`)
  if (form.client_secret !== undefined) throw secretNotTaken()
  return client_id
}
