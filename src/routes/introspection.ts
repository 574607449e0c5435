import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { appOfKey } from '../access/settle-keys.ts'
import { settleKeyInBrowser } from '../http/catalogue.ts'
import { requireApp } from '../oauth/app-credentials.ts'
import { FORM, needed, readForm } from '../oauth/form.ts'
import { introspect } from '../oauth/issued-tokens.ts'
import { anyForm, badAppCredentials, problems } from '../oauth/problems.ts'
import { Introspection, IntrospectionForm } from '../schemas/authorization-server.ts'

/** Where an app's server asks about a token that a client has sent it (RFC 7662). */
export const introspectionRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/oauth/introspect',
    {
      onRequest: requireApp,
      schema: {
        tags: ['OAuth'],
        operationId: 'introspectToken',
        summary: 'Ask about an access token for a resource of your app (RFC 7662)',
        description:
          'Only the app whose resource a token is for, or that is its client, is told about it; to every other app no token is active. An ended token is inactive at once. Authenticate with the settle key of the app, in `X-App-Key` or by HTTP Basic with the slug as user.',
        security: [{ appKey: [] }, { appBasic: [] }],
        consumes: FORM,
        body: IntrospectionForm,
        response: { 200: Introspection, ...problems(anyForm, badAppCredentials, settleKeyInBrowser) },
      },
    },
    async (request) => {
      const token = needed(readForm(request.body, ['token']), 'token')
      const found = await introspect(app, token, appOfKey(request) ?? '')
      if (!found) return { active: false }
      const { account_id, username, client_id, resource, scopes, iat, exp, grant_id } = found
      return {
        active: true,
        sub: account_id,
        ...(username !== null && { username }),
        client_id,
        scope: scopes.join(' '),
        aud: resource ?? app.config.publicUrl,
        iss: app.config.publicUrl,
        iat,
        exp,
        token_type: 'Bearer',
        grant_id,
      }
    },
  )
}
