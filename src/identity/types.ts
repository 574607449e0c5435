import type { IncomingHttpHeaders } from 'node:http'

/** What a session JWT says about who holds it; times in seconds since 1970. */
export interface Claims {
  sub: string
  iat?: number | undefined
  exp: number
  sid?: string | undefined
  azp?: string | undefined
  aud?: string | string[] | undefined
  /** Clerk's session status; `pending` is not signed in */
  sts?: string | undefined
}

/** Who a session belongs to. */
export interface SessionOwner {
  sid: string
  clerkId: string
}

/** A provider's token of somebody who has connected an account there. */
export interface OauthToken {
  token: string
  scopes: string[]
  /** null: the provider does not say */
  expires_at: Date | null
  external_account_id: string
}

/** What the identity tells us by itself; at most one of the two, or neither. */
export interface IdentityEvent {
  /** The same for every delivery of the event */
  id: string
  /** Clerk id of somebody who was deleted or banned */
  person_gone?: string
  /** `sid` of a session that is over */
  session_ended?: string
}

/** The provider of identities: Clerk, or the local one. Nothing outside this folder knows which. */
export interface Identity {
  readonly mode: 'clerk' | 'local'
  /** Clerk ids that are administrators without being configured */
  readonly administrators: ReadonlySet<string>
  /** The `iss` of its session JWTs */
  readonly issuer: string
  /** The claims of a token that was verified before and has not expired; costs no check of a signature */
  known(token: string): Claims | undefined
  /**
   * Checks signature, issuer and times of a session JWT, nothing else. Here and below, `deadline` is in ms since 1970
   * and 5 s from now where it is absent.
   * @throws {ApiError} 401 invalid_token, token_expired or token_not_active_yet; 503 identity_provider_unavailable
   */
  verify(token: string, deadline?: number): Promise<Claims>
  /**
   * A fresh session JWT for a session that still lives; undefined when it has ended. It never has our own `azp`.
   * @param party the origin that it is for, its `azp`; Clerk's backend names none
   * @throws {ApiError} 404 template_not_found; 503 identity_provider_unavailable
   */
  mint(
    session: SessionOwner,
    options?: { template?: string | undefined; party?: string | undefined; deadline?: number | undefined },
  ): Promise<string | undefined>
  /**
   * A person's tokens at an OAuth provider (its name without `oauth_`), one for each account connected there.
   * @throws {ApiError} 404 unknown_provider or reconnect_required; 401 user_not_found; 429 rate_limited;
   *   503 identity_provider_unavailable
   */
  oauthAccessTokens(clerkId: string, provider: string, deadline?: number): Promise<OauthToken[]>
  /**
   * Reads an event that was posted to us. Absent: nobody posts any.
   * @param body as it arrived, to the byte
   * @throws {ApiError} 400 invalid_signature, also for an old one
   */
  readWebhook?(headers: IncomingHttpHeaders, body: string): Promise<IdentityEvent>
}
