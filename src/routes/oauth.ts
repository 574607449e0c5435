import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { callerOf, requireOauth } from '../access/caller.ts'
import {
  accountClosed,
  badField,
  internalError,
  localIdentityOnly,
  notAnXToken,
  notConnected,
  overloaded,
  providerRateLimited,
  rateLimited,
  reconnectRequired,
  unknownProvider,
  userNotFound,
  xFailed,
  xRateLimited,
  xTokenRequired,
} from '../http/catalogue.ts'
import { ApiError } from '../http/errors.ts'
import { refusals, signedIn } from '../http/refusals.ts'
import type { OauthToken } from '../identity/types.ts'
import { createX } from '../identity/x.ts'
import { NullableTimestamp } from '../schemas/primitives.ts'

const ProviderToken = Type.Object(
  {
    token: Type.String({ description: "The provider's access token" }),
    provider: Type.String({ description: 'The name of the provider, without oauth_' }),
    scopes: Type.Array(Type.String()),
    expires_at: NullableTimestamp,
    external_account_id: Type.String({ description: 'The connected account that the token is for' }),
  },
  {
    description: 'OK',
    examples: [
      {
        token: 'VGNibzFWSWREZm01bjN1N3dicWlNUG1oa2xRRVNNdmVHelJG',
        provider: 'x',
        scopes: ['tweet.read', 'users.read'],
        expires_at: '2026-11-21T14:00:00.000Z',
        external_account_id: 'eac_2abc',
      },
    ],
  },
)

const Connection = Type.Object(
  {
    provider: Type.String({ description: 'The name of the provider, without oauth_' }),
    external_account_id: Type.String(),
    name: Type.Unsafe<string | null>({
      type: 'string',
      nullable: true,
      description: 'What the provider calls the account: a user name or an e-mail address',
    }),
    scopes: Type.Array(Type.String(), { description: 'What the person has allowed' }),
  },
  { examples: [{ provider: 'x', external_account_id: 'eac_2abc', name: 'ada', scopes: ['tweet.read', 'users.read'] }] },
)

const ExternalAccountId = Type.Optional(
  Type.String({
    maxLength: 100,
    description: 'Selects one of several connected accounts; default: the first whose token has not expired',
  }),
)

const tokenErrors = refusals(
  signedIn,
  accountClosed,
  userNotFound,
  notConnected,
  reconnectRequired,
  unknownProvider,
  providerRateLimited,
)

/** Where several providers refuse, the error that comes last in this list is sent: it helps the person most. */
const BY_USE: string[] = [unknownProvider.code, notConnected.code, reconnectRequired.code]

export const oauthRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/oauthToken',
    {
      onRequest: requireOauth,
      schema: {
        tags: ['OAuth Tokens'],
        operationId: 'listOAuthConnections',
        summary: 'List the accounts of OAuth providers that you have connected',
        description: 'Each by the name of its provider and its `external_account_id`, for `getOAuthToken`.',
        response: {
          200: Type.Object(
            { connections: Type.Array(Connection) },
            { description: 'OK', examples: [{ connections: Connection.examples }] },
          ),
          ...refusals(signedIn, accountClosed, userNotFound, providerRateLimited),
        },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      return { connections: await app.identity.oauthConnections(callerOf(request).clerk_id, request.deadline) }
    },
  )

  app.get(
    '/api/oauthToken/:provider',
    {
      onRequest: requireOauth,
      schema: {
        tags: ['OAuth Tokens'],
        operationId: 'getOAuthToken',
        summary: 'Fetch OAuth access token for a provider via Clerk',
        description:
          "Answers the provider's own access token of a connected account. A personal access token needs the scope `oauth`.",
        params: Type.Object({
          provider: Type.String({ description: 'Such as x, google or github, with or without oauth_' }),
        }),
        querystring: Type.Object({ external_account_id: ExternalAccountId }),
        response: { 200: ProviderToken, ...tokenErrors },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      const provider = /^(?:oauth_)?(?!oauth_)([a-z0-9_-]{1,64})$/.exec(request.params.provider)?.[1]
      if (!provider) throw unknownProvider()
      return tokenOf(request, [provider], request.query.external_account_id)
    },
  )

  app.get(
    '/api/xToken',
    {
      onRequest: requireOauth,
      schema: {
        tags: ['X Integration'],
        operationId: 'getXToken',
        summary: 'Fetch X/Twitter OAuth access token via Clerk',
        description:
          'Looks for a connection named `x`, then for one named `twitter`. A personal access token needs the scope `oauth`.',
        querystring: Type.Object({ external_account_id: ExternalAccountId }),
        response: { 200: ProviderToken, ...tokenErrors },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      // Clerk keeps connections from before X was renamed under the old name.
      return tokenOf(request, ['x', 'twitter'], request.query.external_account_id)
    },
  )

  /**
   * The caller's token at the first of the providers that has one which has not expired, else one that has.
   * @throws {ApiError} 404 if none has any
   */
  async function tokenOf(request: FastifyRequest, providers: string[], external_account_id: string | undefined) {
    let refusal: ApiError | undefined
    let expired: ReturnType<typeof shown> | undefined
    for (const provider of providers) {
      try {
        const { clerk_id } = callerOf(request)
        const tokens = await app.identity.oauthAccessTokens(clerk_id, provider, request.deadline)
        const wanted = tokens.filter((token) => [undefined, token.external_account_id].includes(external_account_id))
        if (!wanted[0]) throw notConnected()
        const live = wanted.find(({ expires_at }) => expires_at === null || expires_at.getTime() > Date.now())
        if (live) return shown(provider, live)
        expired ??= shown(provider, wanted[0])
      } catch (error) {
        if (!(error instanceof ApiError && error.statusCode === 404)) throw error
        if (!refusal || BY_USE.indexOf(error.code) > BY_USE.indexOf(refusal.code)) refusal = error
      }
    }
    if (expired) return expired
    throw refusal
  }

  const shown = (provider: string, { token, scopes, expires_at, external_account_id }: OauthToken) => ({
    token,
    provider,
    scopes,
    expires_at,
    external_account_id,
  })

  const x = createX(app.config.xApiUrl)
  app.addHook('onClose', () => x.close())

  app.get(
    '/api/xMe',
    {
      schema: {
        tags: ['X Integration'],
        operationId: 'getXMe',
        summary: 'Proxy to https://api.twitter.com/2/users/me',
        description:
          "Takes X's own bearer token, as /api/xToken returns it. Our tokens and Clerk's are never forwarded.",
        security: [{ twitterBearer: [] }],
        querystring: Type.Object({
          'user.fields': Type.Optional(Type.String({ maxLength: 2_048 })),
          expansions: Type.Optional(Type.String({ maxLength: 2_048 })),
          'tweet.fields': Type.Optional(Type.String({ maxLength: 2_048 })),
        }),
        response: {
          200: {
            description: "X's answer, unchanged",
            content: {
              'application/json': {
                schema: { type: 'object', additionalProperties: true },
                example: { data: { id: '2244994945', name: 'X Dev', username: 'TwitterDev' } },
              },
            },
          },
          ...refusals(
            badField,
            xTokenRequired,
            localIdentityOnly,
            rateLimited,
            xRateLimited,
            internalError,
            xFailed,
            overloaded,
          ),
        },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      const token = foreignBearer(request)
      const { 'user.fields': userFields, expansions, 'tweet.fields': tweetFields } = request.query
      const query = { 'user.fields': userFields, expansions, 'tweet.fields': tweetFields }
      return reply.type('application/json; charset=utf-8').send(await x.me(token, query))
    },
  )

  /** The bearer token of the request. @throws {ApiError} 400 for a token of ours or of Clerk's: X must not receive it */
  function foreignBearer(request: FastifyRequest): string {
    const token = /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]
    if (!token) throw xTokenRequired()
    if (OURS.test(token) || CLERKS.test(token) || issuerOf(token) === app.identity.issuer) throw notAnXToken()
    return token
  }
}

/** Prefixes of Clerk's secret keys, API keys, machine tokens and OAuth tokens. */
const CLERKS = /^(sk_(test|live)_|ak_|mt_|oat_)/

/** Prefixes of ours: of tokens, of apps' settle keys, of webhook secrets. */
const OURS = /^(focus_|whsec_)/i

/** The `iss` of a JWT, valid or not; undefined if the token is no JWT. */
function issuerOf(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).iss
  } catch {
    return undefined
  }
}
