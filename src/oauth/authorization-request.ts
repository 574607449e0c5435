import type { FastifyInstance } from 'fastify'
import { readScopes } from '../access/scopes.ts'
import type { Scope } from '../db/tables.ts'
import { type Client, clientOf, resourceOf, type Target } from './clients.ts'
import { needed, readForm } from './form.ts'
import { GRANT_SCOPES } from './grants.ts'
import {
  badParameter,
  invalidScope,
  redirectUriNotRegistered,
  requestNotSupported,
  requestUriNotSupported,
  unsupportedResponseType,
} from './problems.ts'
import { isRegistered } from './redirect-uris.ts'

/** What a client asks of a person at /oauth/authorize (RFC 6749, section 4.1.1). */

/** The parameters that the consent page sends again. */
export const AUTHORIZATION_PARAMETERS = [
  'response_type',
  'client_id',
  'redirect_uri',
  'scope',
  'state',
  'code_challenge',
  'code_challenge_method',
  'resource',
  'response_mode',
] as const

/** Who asks, and where the answer may be sent. Until both are known, a browser is sent nowhere. */
export interface Recipient {
  client: Client
  redirect_uri: string
  /** What the client wants to see again; absent where it is there twice */
  state: string | undefined
}

/**
 * @param address of whoever asks
 * @throws {ApiError} 400 for a client that is not known, and for an address that is not one of its; 429 too_many_attempts
 */
export async function readRecipient(app: FastifyInstance, given: unknown, address: string): Promise<Recipient> {
  const form = readForm(given, ['client_id', 'redirect_uri'])
  const client = await clientOf(app, needed(form, 'client_id'), address)
  const redirect_uri = needed(form, 'redirect_uri')
  if (!isRegistered(redirect_uri, client.redirect_uris)) throw redirectUriNotRegistered()
  // What follows a link of ours counts as opened by the person, such as /device.
  if (new URL(redirect_uri).origin === app.config.publicUrl) throw redirectUriNotRegistered()
  const { state } = given as { state?: unknown }
  return { client, redirect_uri, state: typeof state === 'string' ? state : undefined }
}

export interface Asked extends Target {
  /** What the operator calls the owner of the resource; null: it is this service */
  app_name: string | null
  scopes: Scope[]
  code_challenge: string
}

/** The rest of the request. @throws {ApiError} 400, to be told to the client by `answerUrl` */
export async function readAsked(app: FastifyInstance, client: Client, given: unknown): Promise<Asked> {
  const form = readForm(given, [...AUTHORIZATION_PARAMETERS, 'request', 'request_uri'])
  if (form.request !== undefined) throw requestNotSupported()
  if (form.request_uri !== undefined) throw requestUriNotSupported()
  if (needed(form, 'response_type') !== 'code') throw unsupportedResponseType()
  if (form.response_mode !== undefined && form.response_mode !== 'query') {
    throw badParameter('response_mode', 'must be query, or absent')
  }
  const code_challenge = needed(form, 'code_challenge')
  if (form.code_challenge_method !== 'S256') throw badParameter('code_challenge_method', 'must be S256')
  if (!/^[A-Za-z0-9_-]{43}$/.test(code_challenge))
    throw badParameter('code_challenge', 'must be a SHA-256 in base64url')
  const scopes = readScopes(form.scope, GRANT_SCOPES)
  if (!scopes) throw invalidScope(GRANT_SCOPES)
  const { resource, owner } = await resourceOf(app, form.resource)
  const app_slug = owner?.slug ?? client.app_slug
  // It opens the providers' tokens, which are at this service alone.
  if (resource !== null && scopes.includes('oauth')) throw invalidScope(['account', 'spend'])
  // It lets the server of an app spend: there must be one.
  if (app_slug === null && scopes.includes('spend')) throw invalidScope(['account', 'oauth'])
  return { resource, app_slug, app_name: owner?.name ?? null, scopes, code_challenge }
}

/** The client's address with our answer: `code` or `error`, with `state` and, against mix-ups, `iss` (RFC 9207). */
export function answerUrl(
  { redirect_uri, state }: Recipient,
  issuer: string,
  answer: { code: string } | { error: string; error_description: string },
): string {
  const query = new URLSearchParams({ ...answer, ...(state !== undefined && { state }), iss: issuer })
  // By hand: the registered address stays as it is.
  return `${redirect_uri}${redirect_uri.includes('?') ? '&' : '?'}${query}`
}
