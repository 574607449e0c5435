import { Type } from '@sinclair/typebox'

export const OAuthError = Type.Object(
  {
    error: Type.String({ description: 'The error code of the RFC' }),
    error_description: Type.Optional(Type.String({ description: 'What is wrong and what to do about it' })),
    request_id: Type.Optional(Type.String({ description: 'The id of the request in the log of the service' })),
  },
  {
    $id: 'OAuthError',
    examples: [{ error: 'invalid_grant', error_description: 'The code has expired. Start the authorization again.' }],
  },
)

export const ServerMetadata = Type.Object(
  {
    issuer: Type.String(),
    authorization_endpoint: Type.String(),
    token_endpoint: Type.String(),
    device_authorization_endpoint: Type.String(),
    revocation_endpoint: Type.String(),
    introspection_endpoint: Type.String(),
    scopes_supported: Type.Array(Type.String()),
    response_types_supported: Type.Array(Type.String()),
    response_modes_supported: Type.Array(Type.String()),
    grant_types_supported: Type.Array(Type.String()),
    token_endpoint_auth_methods_supported: Type.Array(Type.String()),
    revocation_endpoint_auth_methods_supported: Type.Array(Type.String()),
    introspection_endpoint_auth_methods_supported: Type.Array(Type.String()),
    code_challenge_methods_supported: Type.Array(Type.String()),
    authorization_response_iss_parameter_supported: Type.Boolean(),
    client_id_metadata_document_supported: Type.Boolean({
      description: 'A client_id may be the https URL of a document that describes the client',
    }),
    protected_resources: Type.Array(Type.String()),
    service_documentation: Type.String(),
  },
  {
    description: 'OK',
    examples: [
      {
        issuer: 'https://account.thefocus.ai',
        authorization_endpoint: 'https://account.thefocus.ai/oauth/authorize',
        token_endpoint: 'https://account.thefocus.ai/oauth/token',
        device_authorization_endpoint: 'https://account.thefocus.ai/oauth/device_authorization',
        revocation_endpoint: 'https://account.thefocus.ai/oauth/revoke',
        introspection_endpoint: 'https://account.thefocus.ai/oauth/introspect',
        scopes_supported: ['account', 'oauth'],
        response_types_supported: ['code'],
        response_modes_supported: ['query'],
        grant_types_supported: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
        token_endpoint_auth_methods_supported: ['none'],
        revocation_endpoint_auth_methods_supported: ['none'],
        introspection_endpoint_auth_methods_supported: ['client_secret_basic'],
        code_challenge_methods_supported: ['S256'],
        authorization_response_iss_parameter_supported: true,
        client_id_metadata_document_supported: true,
        protected_resources: ['https://account.thefocus.ai'],
        service_documentation: 'https://account.thefocus.ai/api/docs',
      },
    ],
  },
)

export const ResourceMetadata = Type.Object(
  {
    resource: Type.String(),
    resource_name: Type.String(),
    authorization_servers: Type.Array(Type.String()),
    scopes_supported: Type.Array(Type.String()),
    bearer_methods_supported: Type.Array(Type.String()),
    resource_documentation: Type.String(),
  },
  {
    description: 'OK',
    examples: [
      {
        resource: 'https://account.thefocus.ai',
        resource_name: 'The Focus API',
        authorization_servers: ['https://account.thefocus.ai'],
        scopes_supported: ['account', 'oauth'],
        bearer_methods_supported: ['header'],
        resource_documentation: 'https://account.thefocus.ai/api/docs',
      },
    ],
  },
)

const ClientId = Type.String({
  documented: { minLength: 1 },
  maxLength: 1_000,
  description: 'The slug of a registered app, or the https URL of a client metadata document',
})

export const AuthorizationQuery = Type.Object({
  response_type: Type.String({ description: 'code' }),
  client_id: ClientId,
  redirect_uri: Type.String({
    description: 'A registered one; on the loopback interface the port may differ',
  }),
  scope: Type.Optional(Type.String({ description: 'account (the default) and oauth, separated by spaces' })),
  state: Type.Optional(Type.String({ description: 'Sent back unchanged' })),
  code_challenge: Type.String({ description: 'The SHA-256 of code_verifier in base64url' }),
  code_challenge_method: Type.String({ description: 'S256' }),
  resource: Type.Optional(
    Type.String({
      description: 'The API that the tokens are for (RFC 8707): a resource of a registered app; default: this API',
    }),
  ),
})

export const AuthorizationForm = Type.Object({})

export const DeviceAuthorizationForm = Type.Object(
  {
    client_id: Type.String({
      maxLength: 1_000,
      documented: { minLength: 1 },
      description: 'A name of the program, shown to the person',
    }),
    scope: Type.Optional(Type.String({ description: 'account (the default), oauth and admin, separated by spaces' })),
    client_name: Type.Optional(
      Type.String({ maxLength: 100, description: 'Shown instead of client_id, such as the program and the machine' }),
    ),
  },
  { examples: [{ client_id: 'focus-cli', scope: 'account' }] },
)

export const TokenForm = Type.Object(
  {
    grant_type: Type.String({
      documented: { minLength: 1 },
      description: 'authorization_code, refresh_token or urn:ietf:params:oauth:grant-type:device_code',
    }),
    client_id: ClientId,
    code: Type.Optional(Type.String({ description: 'The code that /oauth/authorize sent to redirect_uri' })),
    redirect_uri: Type.Optional(Type.String({ description: 'As it was sent to /oauth/authorize' })),
    code_verifier: Type.Optional(Type.String({ description: 'The value that code_challenge was computed from' })),
    refresh_token: Type.Optional(Type.String()),
    device_code: Type.Optional(Type.String({ description: 'The code that /oauth/device_authorization returned' })),
    scope: Type.Optional(
      Type.String({ description: 'With a refresh token: a subset of its scopes, for the new access token' }),
    ),
    resource: Type.Optional(Type.String({ description: 'The resource that was approved (RFC 8707)' })),
  },
  {
    examples: [
      {
        grant_type: 'authorization_code',
        client_id: 'video',
        code: 'SplxlOBeZQQYbYS6WxSbIA4dFmL8nbA1kTZ2xR0vQpE',
        redirect_uri: 'https://video.example.com/callback',
        code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
      },
    ],
  },
)

export const Tokens = Type.Object(
  {
    access_token: Type.String({ description: 'Send it as Authorization: Bearer' }),
    token_type: Type.String(),
    expires_in: Type.Integer({ description: 'Seconds until the access token expires' }),
    refresh_token: Type.Optional(
      Type.String({ description: 'Gets the next tokens; each works once. Absent with the device grant' }),
    ),
    scope: Type.String({ description: 'What the access token may be used for, separated by spaces' }),
    name: Type.Optional(
      Type.String({
        description:
          'With the device grant: what the account page calls the person, such as an e-mail address; absent if unknown',
      }),
    ),
  },
  {
    description: 'OK',
    examples: [
      {
        access_token: 'focus_at_2Nf8…',
        token_type: 'Bearer',
        expires_in: 3600,
        refresh_token: 'focus_rt_9Kd1…',
        scope: 'account',
      },
    ],
  },
)

export const RevocationForm = Type.Object(
  {
    token: Type.String({
      documented: { minLength: 1 },
      description: 'A refresh token: revokes all tokens from the same code. An access token: revokes itself',
    }),
    client_id: ClientId,
    token_type_hint: Type.Optional(Type.String({ description: 'Not needed: our tokens say what they are' })),
  },
  { examples: [{ token: 'focus_rt_9Kd1…', client_id: 'video' }] },
)

export const IntrospectionForm = Type.Object(
  {
    token: Type.String({ documented: { minLength: 1 }, description: 'An access token that a client has sent you' }),
    token_type_hint: Type.Optional(Type.String({ description: 'Not needed: our tokens say what they are' })),
  },
  { examples: [{ token: 'focus_at_2Nf8…' }] },
)

export const Introspection = Type.Object(
  {
    active: Type.Boolean({
      description: 'false: the token is not from a grant for your app, or has ended. Then there are no other fields',
    }),
    sub: Type.Optional(Type.String({ format: 'uuid', description: 'The account id of the person' })),
    username: Type.Optional(
      Type.String({
        description:
          'With scope account: what the account page calls the person, such as an e-mail address; absent if unknown',
      }),
    ),
    client_id: Type.Optional(Type.String({ description: 'The program that the token was issued to' })),
    scope: Type.Optional(Type.String({ description: 'Separated by spaces' })),
    aud: Type.Optional(
      Type.String({
        description: 'The resource that the token is for. Refuse a token for a resource that is not yours',
      }),
    ),
    iss: Type.Optional(Type.String()),
    iat: Type.Optional(Type.Integer({ description: 'Seconds since 1970' })),
    exp: Type.Optional(Type.Integer({ description: 'Seconds since 1970' })),
    token_type: Type.Optional(Type.String()),
    grant_id: Type.Optional(
      Type.String({ format: 'uuid', description: 'The grant that the person approved; POST /api/jobs accepts it' }),
    ),
  },
  {
    description: 'OK',
    examples: [
      {
        active: true,
        sub: '553e5c05-43f2-5afa-a2ab-a7d7c88e4fe8',
        username: 'ada@example.com',
        client_id: 'https://assistant.example.com/client.json',
        scope: 'account spend',
        aud: 'https://mcp.example.com/mcp',
        iss: 'https://account.thefocus.ai',
        iat: 1795780800,
        exp: 1795784400,
        token_type: 'Bearer',
        grant_id: '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f',
      },
      { active: false },
    ],
  },
)
