import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { FastifyBaseLogger } from 'fastify'
import { LRUCache } from 'lru-cache'
import { addressOwner, isLoopback } from '../addresses.ts'
import type { Config } from '../config.ts'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { cleanName } from '../device/approval.ts'
import { attempt, tooManyAttempts } from '../device/attempts.ts'
import { tooManyClientDocuments } from '../http/catalogue.ts'
import { ApiError } from '../http/errors.ts'
import { connectionTo, NotPublic } from '../http/public-addresses.ts'
import { badDocument } from './problems.ts'
import { isRedirectUri } from './redirect-uris.ts'

/**
 * Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document): a client that nobody has registered has an https URL
 * as its client_id, and describes itself in a document there. Everybody can make us fetch one, so what a fetch may reach, how long it
 * takes and how many there are is bounded.
 */

/** What we use of a document. */
export interface ClientDocument {
  /** What the client calls itself; nobody has checked it */
  client_name: string | null
  redirect_uris: string[]
}

const MAX_URL = 500
const MAX_BYTES = 65_536
const MAX_REDIRECT_URIS = 30
/** From the DNS look-up to the last byte, in ms. */
const TIMEOUT_MS = 5_000
/** How long a document is kept, in seconds: as long as its `Cache-Control` says, within these bounds; without it, `default`. */
const KEPT_SECONDS = { min: 60, max: 900, default: 300 }
/** How long a document that was refused is not asked for again, in ms. */
const REFUSED_MS = 10_000
const REMEMBERED = 500
/** Fetches under way at once: for one address, from one host, in all. */
const AT_ONCE = { address: 2, host: 4, all: 50 }

export const isDocumentUrl = (client_id: string): boolean => /^https?:\/\//i.test(client_id)

/**
 * The URL of a document. What is fetched is the client_id character by character, so it must be as `URL` writes it; that leaves out
 * dot segments, too.
 * @returns undefined where a client_id must not be such a URL
 */
export function documentUrl(
  client_id: string,
  { production, publicUrl }: Pick<Config, 'production' | 'publicUrl'>,
): URL | undefined {
  const url = client_id.length > MAX_URL || client_id.includes('#') ? null : URL.parse(client_id)
  if (!url || url.href !== client_id || url.username || url.password || url.pathname === '/') return undefined
  // Our own pages would ask for the document again.
  if (url.origin === publicUrl) return undefined
  const isLocal = !production && url.protocol === 'http:' && isLoopback(url.hostname)
  return url.protocol === 'https:' || isLocal ? url : undefined
}

/** Reads a document. @throws {ApiError} 400 invalid_client */
export function readDocument(client_id: string, text: string): ClientDocument {
  let document: Record<string, unknown>
  try {
    document = JSON.parse(text)
  } catch {
    throw badDocument('is not JSON')
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw badDocument('is no JSON object')
  if (document.client_id !== client_id) throw badDocument('does not have the same client_id, character by character')
  const method = document.token_endpoint_auth_method ?? 'none'
  if (method !== 'none' || 'client_secret' in document) {
    throw badDocument(
      'must have the token_endpoint_auth_method none: clients of this service have no secret and no key',
    )
  }
  const given = Array.isArray(document.redirect_uris) ? document.redirect_uris : []
  if (given.length > MAX_REDIRECT_URIS) throw badDocument(`has more than ${MAX_REDIRECT_URIS} redirect_uris`)
  // Some list addresses of other kinds beside these, which we do not answer at.
  const redirect_uris = given.filter((uri): uri is string => typeof uri === 'string' && isRedirectUri(uri))
  if (!redirect_uris.length) throw badDocument('has no redirect_uris that are https, or http on a loopback address')
  const { client_name } = document
  return { client_name: typeof client_name === 'string' ? cleanName(client_name.slice(0, 500)) : null, redirect_uris }
}

/**
 * Fetches a document, without following redirects.
 * @param publicOnly allow only https and public addresses
 * @returns the document, and how many seconds it may be kept
 * @throws {ApiError} 400 invalid_client
 */
export async function fetchDocument(
  client_id: string,
  publicOnly: boolean,
): Promise<ClientDocument & { kept: number }> {
  const late = AbortSignal.timeout(TIMEOUT_MS)
  try {
    const response = await open(new URL(client_id), publicOnly, late)
    const { statusCode = 0, headers } = response
    try {
      if (statusCode >= 300 && statusCode < 400) throw badDocument('redirects, and redirects are not followed')
      if (statusCode !== 200) throw badDocument(`answered ${statusCode} instead of 200`)
      if (!/^application\/([a-z0-9.+-]+\+)?json\s*(;|$)/i.test(headers['content-type'] ?? ''))
        throw badDocument('is not sent with a Content-Type of JSON')
      const document = readDocument(client_id, await textOf(response))
      return { ...document, kept: keptSeconds(headers['cache-control']) }
    } finally {
      response.destroy()
    }
  } catch (error) {
    if (error instanceof ApiError) throw error
    if (error instanceof NotPublic) throw badDocument('is not at a public address')
    if (late.aborted) throw badDocument(`did not arrive within ${TIMEOUT_MS / 1000} seconds`)
    // One answer for all network errors: several would tell which addresses and ports answer here.
    throw badDocument('cannot be fetched')
  }
}

function open(url: URL, publicOnly: boolean, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const request = (url.protocol === 'https:' ? https : http).get(url, {
    ...connectionTo(url, publicOnly),
    headers: { accept: 'application/json', 'user-agent': 'focus-api-client-documents' },
    signal,
  })
  request.on('response', resolve)
  request.on('error', reject)
  return promise
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    bytes += chunk.length
    if (bytes > MAX_BYTES) throw badDocument(`is larger than ${MAX_BYTES / 1024} KiB`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function keptSeconds(cacheControl = ''): number {
  const age = /(?:^|[\s,])(?:no-store|no-cache)\b/i.test(cacheControl)
    ? 0
    : Number(/(?:^|[\s,])max-age="?(\d{1,9})/i.exec(cacheControl)?.[1] ?? KEPT_SECONDS.default)
  return Math.min(Math.max(age, KEPT_SECONDS.min), KEPT_SECONDS.max)
}

const countFetch = statement<{ owner: string }, object>('count_client_document', attempt('client_document', '$owner'))

export interface ClientDocuments {
  /**
   * The document of a client; it may be some minutes old.
   * @param address who makes us fetch it
   * @throws {ApiError} 400 invalid_client; 429 too_many_attempts
   */
  read(client_id: string, address: string): Promise<ClientDocument>
}

/** Remembers documents, so that not every request fetches one. Each instance has its own. */
export function rememberDocuments(config: Config, db: Db, log: FastifyBaseLogger): ClientDocuments {
  const known = new LRUCache<string, ClientDocument>({ max: REMEMBERED })
  const refused = new LRUCache<string, ApiError>({ max: REMEMBERED, ttl: REFUSED_MS })
  const underWay = new Map<string, Promise<ClientDocument>>()
  const counts = new Map<string, number>()
  const count = (key: string, by: 1 | -1) => {
    const now = (counts.get(key) ?? 0) + by
    if (now > 0) counts.set(key, now)
    else counts.delete(key)
  }

  async function fetchBounded(client_id: string, url: URL, address: string): Promise<ClientDocument> {
    const owner = addressOwner(address)
    const places = [`address ${owner}`, `host ${url.host}`, 'all'] as const
    const limits = [AT_ONCE.address, AT_ONCE.host, AT_ONCE.all]
    if (places.some((place, n) => (counts.get(place) ?? 0) >= (limits[n] ?? 0)))
      throw tooManyClientDocuments(1, AT_ONCE.address)
    for (const place of places) count(place, 1)
    try {
      const [room] = await countFetch(db, { owner })
      if (!room) throw await tooManyAttempts(db, 'client_document', owner)
      const { kept, ...document } = await fetchDocument(client_id, config.production)
      known.set(client_id, document, { ttl: kept * 1000 })
      return document
    } catch (error) {
      if (error instanceof ApiError && error.code === badDocument.code) {
        refused.set(client_id, error)
        log.info({ client_id, reason: error.message }, 'a client document was refused')
      }
      throw error
    } finally {
      for (const place of places) count(place, -1)
    }
  }

  return {
    async read(client_id, address) {
      const url = documentUrl(client_id, config)
      if (!url) throw badDocument('must be at an https URL with a path, written as a browser writes it')
      const hit = known.get(client_id)
      if (hit) return hit
      const before = refused.get(client_id)
      if (before) throw before
      const shared = underWay.get(client_id)
      if (shared) {
        return shared.catch((error) => {
          if (error instanceof ApiError && error.code === badDocument.code) throw error
          // Refused by the limits of the caller who began the fetch.
          return this.read(client_id, address)
        })
      }
      const fetched = fetchBounded(client_id, url, address).finally(() => underWay.delete(client_id))
      underWay.set(client_id, fetched)
      return fetched
    },
  }
}
