import type { FastifyInstance } from 'fastify'
import { statement } from '../db/statement.ts'
import { isDocumentUrl } from './client-documents.ts'
import { invalidTarget, unknownClient } from './problems.ts'

/** A program that asks for access. */
export interface Client {
  client_id: string
  /** What the operator calls it; of a client with a document, the host of that, because nobody has checked the rest */
  name: string
  /** What its document calls it */
  calls_itself: string | null
  redirect_uris: string[]
  /** The registered app that it is; null: it has a document */
  app_slug: string | null
}

const findClient = statement<{ slug: string }, Omit<Client, 'calls_itself'>>(
  'find_oauth_client',
  `select slug as client_id, coalesce(name, slug) as name, redirect_uris, slug as app_slug from apps where slug = $slug`,
)

/**
 * The client of this id: an app that the operator has registered, or one that describes itself in a document.
 * @param address who asks: documents are fetched within its limits
 * @throws {ApiError} 400 invalid_client, 429 too_many_attempts
 */
export async function clientOf(
  { db, clientDocuments }: FastifyInstance,
  client_id: string,
  address: string,
): Promise<Client> {
  if (isDocumentUrl(client_id)) {
    const { client_name, redirect_uris } = await clientDocuments.read(client_id, address)
    return { client_id, name: new URL(client_id).host, calls_itself: client_name, redirect_uris, app_slug: null }
  }
  const [client] = await findClient(db, { slug: client_id.slice(0, 100) })
  if (!client) throw unknownClient()
  return { ...client, calls_itself: null }
}

const findOwner = statement<{ resource: string }, { slug: string; name: string }>(
  'find_resource_owner',
  'select slug, coalesce(name, slug) as name from apps where resources @> array[$resource::text] order by slug limit 1',
)

/** What a token is for (RFC 8707). */
export type Target = {
  /** null: this service */
  resource: string | null
  /** The app that owns the resource, or else is the client */
  app_slug: string | null
}

/**
 * What a client's `resource` means; absent, it is this service.
 * @throws {ApiError} 400 invalid_target where nobody has registered it
 */
export async function resourceOf(
  { config, db }: Pick<FastifyInstance, 'config' | 'db'>,
  given: string | undefined,
): Promise<{ resource: string | null; owner: { slug: string; name: string } | null }> {
  const resource = given === undefined ? config.publicUrl : canonicalResource(given)
  if (resource === config.publicUrl) return { resource: null, owner: null }
  const [owner] = resource === undefined ? [] : await findOwner(db, { resource })
  if (!owner || resource === undefined) throw invalidTarget()
  return { resource, owner }
}

/**
 * A resource in the form in which it is compared and stored: clients write an origin with and without its slash.
 * @returns undefined for what is no http(s) URL, or has a user name or a fragment
 */
export function canonicalResource(raw: string): string | undefined {
  const url = raw.length > 1_000 || raw.includes('#') ? null : URL.parse(raw)
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password) return undefined
  return url.pathname === '/' && !url.search ? url.origin : url.href
}
