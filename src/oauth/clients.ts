import type { FastifyInstance } from 'fastify'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { invalidTarget, unknownClient } from './problems.ts'

/** A program that asks for access. */
export interface Client {
  client_id: string
  /** What the operator calls it */
  name: string
  redirect_uris: string[]
  /** The registered app that it is */
  app_slug: string
}

const findClient = statement<{ slug: string }, Client>(
  'find_oauth_client',
  `select slug as client_id, coalesce(name, slug) as name, redirect_uris, slug as app_slug from apps where slug = $slug`,
)

/** The client of this id: an app that the operator has registered. @throws {ApiError} 400 invalid_client */
export async function clientOf(db: Db, client_id: string): Promise<Client> {
  const [client] = await findClient(db, { slug: client_id.slice(0, 100) })
  if (!client) throw unknownClient()
  return client
}

const findOwner = statement<{ resource: string }, { slug: string }>(
  'find_resource_owner',
  'select slug from apps where resources @> array[$resource::text] order by slug limit 1',
)

/** What a token is for (RFC 8707). */
export type Target = {
  /** null: this service */
  resource: string | null
  /** The app that owns the resource, or else the client */
  app_slug: string | null
}

/**
 * What a client's `resource` means; absent, it is this service.
 * @throws {ApiError} 400 invalid_target where nobody has registered it
 */
export async function targetOf(
  { config, db }: FastifyInstance,
  client: { app_slug: string | null },
  given: string | undefined,
): Promise<Target> {
  const resource = given === undefined ? config.publicUrl : canonicalResource(given)
  if (resource === config.publicUrl) return { resource: null, app_slug: client.app_slug }
  const [owner] = resource === undefined ? [] : await findOwner(db, { resource })
  if (!owner || resource === undefined) throw invalidTarget()
  return { resource, app_slug: owner.slug }
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
