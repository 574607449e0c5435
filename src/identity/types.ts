import type { IncomingHttpHeaders } from 'node:http'

/** The claims of a session JWT. Times are in seconds since 1970. */
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

/** An access token for an OAuth account that a person has connected. */
export interface OauthToken {
  token: string
  scopes: string[]
  /** null: unknown */
  expires_at: Date | null
  external_account_id: string
}

/** An account of an OAuth provider that a person has connected. */
export interface OauthConnection {
  /** Name without `oauth_`, such as `x` */
  provider: string
  external_account_id: string
  /** The provider's name for the account: a user name or an e-mail address; null: unknown */
  name: string | null
  scopes: string[]
}

/** A webhook event of the identity provider. At most one of the two optional fields is set. */
export interface IdentityEvent {
  /** The same for every delivery of the event */
  id: string
  /** When it happened */
  at: Date
  /** Clerk id of a person who was deleted or banned */
  person_gone?: string
  /** `sid` of a session that has ended */
  session_ended?: string
}

/** The identity provider: Clerk or the local one. Code outside this folder uses only this interface. */
export interface Identity {
  readonly mode: 'clerk' | 'local'
  /** Clerk ids that are administrators without being configured */
  readonly administrators: ReadonlySet<string>
  /** Names of the cookies that its own scripts keep a session JWT in; the first that is set counts */
  readonly cookies: readonly string[]
  /** The `iss` claim of its session JWTs */
  readonly issuer: string
  /** The cached claims of a token that was verified before and has not expired */
  known(token: string): Claims | undefined
  /** Whether the unverified claims of a token allow it to be genuine: it names this issuer and has not expired */
  plausible(token: string): boolean
  /**
   * Verifies signature, issuer and times of a session JWT (RFC 7519). Callers check azp, aud and sts. Here and below,
   * `deadline` is in ms since 1970; the default is 5 s from now.
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
   * A person's access tokens at an OAuth provider, one per connected account.
   * @param provider name without `oauth_`, such as `x`
   * @throws {ApiError} 404 unknown_provider or reconnect_required; 401 user_not_found; 429 rate_limited;
   *   503 identity_provider_unavailable
   */
  oauthAccessTokens(clerkId: string, provider: string, deadline?: number): Promise<OauthToken[]>
  /**
   * The accounts of OAuth providers that a person has connected.
   * @throws {ApiError} 401 user_not_found; 429 rate_limited; 503 identity_provider_unavailable
   */
  oauthConnections(clerkId: string, deadline?: number): Promise<OauthConnection[]>
  /**
   * The Clerk ids of people with this e-mail address. The local identity derives one from it, even if nobody has signed in with it.
   * @throws {ApiError} 429 rate_limited; 503 identity_provider_unavailable
   */
  peopleByEmail(email: string, deadline?: number): Promise<string[]>
  /**
   * The Clerk ids of a few people whose name or e-mail address contains this text. The local identity keeps neither.
   * @throws {ApiError} 429 rate_limited; 503 identity_provider_unavailable
   */
  peopleLike(text: string, deadline?: number): Promise<string[]>
  /**
   * Verifies and parses a webhook delivery. Absent: no webhook secret is configured.
   * @param body the raw body
   * @throws {ApiError} 400 invalid_signature, also when the signature is too old
   */
  readWebhook?(headers: IncomingHttpHeaders, body: string): Promise<IdentityEvent>
}
