import { hash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { createClerkClient, verifyToken } from '@clerk/backend'
import { TokenVerificationError } from '@clerk/backend/errors'
import { verifyWebhook } from '@clerk/backend/webhooks'
import type { FastifyBaseLogger } from 'fastify'
import { decodeProtectedHeader } from 'jose'
import type { ClerkConfig } from '../config.ts'
import {
  internalError,
  invalidSignature,
  invalidToken,
  providerUnavailable,
  reconnectRequired,
  templateNotFound,
  tokenExpired,
  tokenNotActiveYet,
  unknownProvider,
  userNotFound,
} from '../http/catalogue.ts'
import { ApiError } from '../http/errors.ts'
import type { ClerkMetrics } from '../observe/metrics.ts'
import { clerkCalls, codesOf, isRefusal } from './clerk-calls.ts'
import { clerkKeys } from './clerk-keys.ts'
import { answerBy } from './deadline.ts'
import type { Claims, Identity, IdentityEvent, OauthConnection, OauthToken } from './types.ts'

/** Clerk as the identity provider: verifies session JWTs with its public key, and calls its Backend API for new session JWTs and OAuth tokens. */
export function clerkIdentity(
  config: ClerkConfig,
  log: FastifyBaseLogger,
  metrics: ClerkMetrics,
): Omit<Identity, 'known' | 'plausible'> {
  const { secretKey, publishableKey, jwtKey, apiUrl, issuer, webhookSecret } = config
  const clerk = createClerkClient({
    secretKey,
    publishableKey,
    ...(jwtKey && { jwtKey }),
    ...(apiUrl && { apiUrl }),
    telemetry: { disabled: true },
  })
  const call = clerkCalls(log, metrics)
  const keys = clerkKeys(async () => {
    const isKeys = (answer: { keys?: unknown }) => Array.isArray(answer?.keys) && answer.keys.length > 0
    const answer = await call(() => clerk.jwks.getJwks(), answerBy(), isKeys).catch((error) => {
      log.error("could not fetch Clerk's keys; with CLERK_JWT_KEY set, no call is needed")
      throw error
    })
    return answer.keys ?? []
  })

  async function verify(token: string, deadline = answerBy()): Promise<Claims> {
    try {
      // Without jwtKey, the SDK would call Clerk for every unknown key id.
      const { kid } = decodeProtectedHeader(token)
      const key = jwtKey ?? (kid && (await keys.find(kid, deadline)))
      // The keys may be renewed within seconds.
      if (!key) throw Object.assign(invalidToken(), { passing: true })
      // authorizedParties is not given: it refuses tokens without azp, which Clerk's Backend API mints. access/caller.ts checks azp.
      const claims = await verifyToken(token, { issuer, jwtKey: key })
      if (typeof claims.sub !== 'string' || !claims.sub || typeof claims.exp !== 'number') throw invalidToken()
      return claims as unknown as Claims
    } catch (error) {
      throw refusal(error)
    }
  }

  async function mint(
    session: { sid: string },
    { template, deadline = answerBy() }: { template?: string | undefined; deadline?: number | undefined } = {},
  ): Promise<string | undefined> {
    try {
      const minted = await call(
        () => clerk.sessions.getToken(session.sid, template),
        deadline,
        (answer) => typeof answer?.jwt === 'string',
      )
      return minted.jwt
    } catch (error) {
      if (!isRefusal(error)) throw error
      // Clerk answers an ended session and an unknown template alike.
      if (template && (await isActive(session.sid, deadline))) throw templateNotFound()
      return undefined
    }
  }

  async function isActive(sid: string, deadline: number): Promise<boolean> {
    try {
      const session = await call(
        () => clerk.sessions.getSession(sid),
        deadline,
        (answer) => typeof answer?.status === 'string',
      )
      return session.status === 'active'
    } catch (error) {
      if (isRefusal(error)) return false
      throw error
    }
  }

  async function oauthAccessTokens(clerkId: string, provider: string, deadline = answerBy()): Promise<OauthToken[]> {
    try {
      const { data } = await call(
        () => clerk.users.getUserOauthAccessToken(clerkId, provider as OauthProvider),
        deadline,
        (answer) => Array.isArray(answer?.data),
      )
      return data.map(({ token, scopes = [], expiresAt, externalAccountId }) => ({
        token,
        scopes: scopes ?? [],
        expires_at: expiresAt ? new Date(inMilliseconds(expiresAt)) : null,
        external_account_id: externalAccountId,
      }))
    } catch (error) {
      if (!isRefusal(error)) throw error
      const codes = codesOf(error)
      if (codes.some((code) => NOT_OFFERED.has(code))) throw unknownProvider()
      if (codes.some((code) => RECONNECT.has(code))) throw reconnectRequired()
      if (error.status === 404) throw userNotFound()
      log.error({ status: error.status, codes }, 'Clerk refused an OAuth token with an unknown error code')
      // 422 is about this connection, whatever its code: connecting again makes a new one.
      throw error.status === 422 ? reconnectRequired() : internalError()
    }
  }

  async function oauthConnections(clerkId: string, deadline = answerBy()): Promise<OauthConnection[]> {
    try {
      const { externalAccounts } = await call(
        () => clerk.users.getUser(clerkId),
        deadline,
        (answer) => Array.isArray(answer?.externalAccounts),
      )
      return externalAccounts.map(({ id, externalAccountId, provider, username, emailAddress, approvedScopes }) => ({
        provider: provider.replace(/^oauth_/, ''),
        external_account_id: externalAccountId ?? id,
        name: username || emailAddress || null,
        scopes: approvedScopes?.split(/\s+/).filter(Boolean) ?? [],
      }))
    } catch (error) {
      if (!isRefusal(error)) throw error
      if (error.status === 404) throw userNotFound()
      log.error({ status: error.status, codes: codesOf(error) }, 'Clerk refused to name the connections of a user')
      throw providerUnavailable()
    }
  }

  const peopleByEmail = (email: string, deadline?: number) => people({ emailAddress: [email], limit: 10 }, deadline)
  const peopleLike = (query: string, deadline?: number) => people({ query, limit: 20 }, deadline)

  async function people(
    asked: { emailAddress?: string[]; query?: string; limit: number },
    deadline = answerBy(),
  ): Promise<string[]> {
    try {
      const { data } = await call(
        () => clerk.users.getUserList(asked),
        deadline,
        (answer) => Array.isArray(answer?.data),
      )
      return data.map(({ id }) => id)
    } catch (error) {
      // Text that is no e-mail address.
      if (isRefusal(error) && (error.status === 400 || error.status === 422)) return []
      throw isRefusal(error) ? providerUnavailable() : error
    }
  }

  /** verifyWebhook takes a Fetch Request and ignores its URL. */
  async function readWebhook(
    headers: IncomingHttpHeaders,
    body: string,
    signingSecret: string,
  ): Promise<IdentityEvent> {
    const signed = ['svix-id', 'svix-timestamp', 'svix-signature'].map((name) => [name, String(headers[name] ?? '')])
    const delivery = new Request(issuer, { method: 'POST', headers: Object.fromEntries(signed), body })
    const event = await verifyWebhook(delivery, { signingSecret }).catch(() => {
      throw invalidSignature()
    })
    const { timestamp = Date.now() } = event as { timestamp?: number }
    return { id: String(headers['svix-id']).trim(), at: new Date(timestamp), ...meaningOf(event) }
  }

  return {
    mode: 'clerk',
    issuer,
    cookies: [`__session_${cookieSuffix(publishableKey)}`, '__session'],
    administrators: new Set(),
    verify,
    mint,
    oauthAccessTokens,
    oauthConnections,
    peopleByEmail,
    peopleLike,
    ...(webhookSecret && { readWebhook: (headers, body) => readWebhook(headers, body, webhookSecret) }),
  }
}

/**
 * What ClerkJS appends to the names of its cookies, so that several Clerk applications on one domain do not overwrite each
 * other's. The SDK computes it in the same way, but exports that from no public path.
 */
const cookieSuffix = (publishableKey: string): string => hash('sha1', publishableKey, 'base64url').slice(0, 8)

type OauthProvider = Parameters<ReturnType<typeof createClerkClient>['users']['getUserOauthAccessToken']>[1]

const NOT_OFFERED = new Set(['oauth_token_provider_not_enabled', 'oauth_unsupported_provider'])
const RECONNECT = new Set(['oauth_missing_access_token', 'oauth_missing_refresh_token', 'oauth_token_retrieval_error'])

/** Clerk documents `expiresAt` as a Unix timestamp, while its other times are in milliseconds: both are accepted. */
const inMilliseconds = (time: number): number => (time > 1e11 ? time : time * 1000)

/** Clerk reports a ban as `user.updated`. `user.banned` is accepted as well, in case Clerk introduces it. */
function meaningOf(event: { type: string; data?: unknown }): { person_gone?: string; session_ended?: string } {
  const { id, banned } = (event.data ?? {}) as { id?: unknown; banned?: unknown }
  if (typeof id !== 'string') return {}
  switch (event.type) {
    case 'user.deleted':
    case 'user.banned':
      return { person_gone: id }
    case 'user.updated':
      return banned === true ? { person_gone: id } : {}
    case 'session.ended':
    case 'session.removed':
    case 'session.revoked':
      return { session_ended: id }
    default:
      return {}
  }
}

function refusal(error: unknown): unknown {
  if (error instanceof ApiError) return error
  if (!(error instanceof TokenVerificationError)) return invalidToken()
  switch (error.reason) {
    case 'token-expired':
      return tokenExpired()
    case 'token-not-active-yet':
    case 'token-iat-in-the-future':
      return tokenNotActiveYet()
    default:
      return invalidToken()
  }
}
