import { createClerkClient, verifyToken } from '@clerk/backend'
import { TokenVerificationError } from '@clerk/backend/errors'
import type { FastifyBaseLogger } from 'fastify'
import { decodeProtectedHeader } from 'jose'
import type { ClerkConfig } from '../config.ts'
import { ApiError } from '../errors.ts'
import type { Claims, Identity } from './index.ts'
import { invalidToken, providerUnavailable, tokenExpired, tokenNotActiveYet } from './refusals.ts'

/** What all calls of one answer may take together, in ms: the SDK has no time-out of its own. */
const CLERK_MS = 5_000

/** Clerk as the identity: session JWTs by its key, minting through its Backend API. */
export function clerkIdentity(config: ClerkConfig, log: FastifyBaseLogger): Identity {
  const { secretKey, publishableKey, jwtKey, apiUrl, issuer } = config
  const clerk = createClerkClient({
    secretKey,
    publishableKey,
    ...(jwtKey && { jwtKey }),
    ...(apiUrl && { apiUrl }),
    telemetry: { disabled: true },
  })

  async function verify(token: string): Promise<Claims> {
    try {
      // What is no JWT at all costs no call, and what fails from here on without a reason of the SDK's is that call.
      decodeProtectedHeader(token)
    } catch {
      throw invalidToken()
    }
    try {
      // authorizedParties is not given: it refuses tokens without azp, which Clerk's backend mints. auth.ts checks azp.
      const check = verifyToken(token, { issuer, secretKey, ...(jwtKey && { jwtKey }), ...(apiUrl && { apiUrl }) })
      const claims = await (jwtKey ? check : withinTime(check))
      if (typeof claims.sub !== 'string' || !claims.sub || typeof claims.exp !== 'number') throw invalidToken()
      return claims as unknown as Claims
    } catch (error) {
      throw refusal(error)
    }
  }

  function refusal(error: unknown): unknown {
    if (error instanceof ApiError) return error
    switch (error instanceof TokenVerificationError ? error.reason : 'jwk-remote-failed-to-load') {
      case 'token-expired':
        return tokenExpired()
      case 'token-not-active-yet':
      case 'token-iat-in-the-future':
        return tokenNotActiveYet()
      case 'jwk-remote-failed-to-load':
      case 'jwk-failed-to-resolve':
        log.error({ err: error }, 'Clerk answers no keys; set CLERK_JWT_KEY to verify without it')
        return providerUnavailable()
      case 'secret-key-invalid':
        return keyRefused(401)
      default:
        return invalidToken()
    }
  }

  async function mint(session: { sid: string }, template?: string): Promise<string | undefined> {
    const deadline = Date.now() + CLERK_MS
    try {
      const { jwt } = await call(deadline, () => clerk.sessions.getToken(session.sid, template))
      return jwt
    } catch (error) {
      if (!isRefusal(error)) throw error
      // Clerk says the same of a session that has ended and of a template that never was.
      if (template && (await isActive(session.sid, deadline))) {
        throw new ApiError(404, 'template_not_found', 'Clerk has no JWT template of this name.')
      }
      return undefined
    }
  }

  async function isActive(sid: string, deadline: number): Promise<boolean> {
    try {
      return (await call(deadline, () => clerk.sessions.getSession(sid))).status === 'active'
    } catch (error) {
      if (isRefusal(error)) return false
      throw error
    }
  }

  /** One Backend API call until `deadline`, one retry on network failure or 5xx within it. Other 4xx are the caller's to read. */
  async function call<T>(deadline: number, request: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await withinTime(request(), deadline)
      } catch (error) {
        if (error instanceof ApiError) throw error
        const { status = 0, retryAfter } = error as { status?: number; retryAfter?: number }
        if (status === 401 || status === 403) {
          throw keyRefused(status)
        }
        if (status === 429) {
          const headers = { 'retry-after': String(retryAfter ?? 1) }
          throw new ApiError(429, 'rate_limited', 'The identity provider asks us to slow down.', {}, headers)
        }
        if (isRefusal(error)) throw error
        if (attempt === 2) throw providerUnavailable()
      }
    }
  }

  function keyRefused(status: number): ApiError {
    log.error({ status }, 'Clerk refuses our secret key: CLERK_SECRET_KEY is misconfigured')
    return new ApiError(500, 'internal_error', 'Something went wrong on our side.')
  }

  return { mode: 'clerk', administrators: new Set(), verify, mint }
}

/** A 4xx of Clerk's: it answered, and said no. */
const isRefusal = (error: unknown): boolean => {
  const status = (error as { status?: number } | null)?.status ?? 0
  return status >= 400 && status < 500
}

async function withinTime<T>(work: Promise<T>, deadline = Date.now() + CLERK_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(providerUnavailable()), deadline - Date.now())
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
