import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { RETURN_PATH } from '../access/origins.ts'
import { requireAdminOrKey } from '../access/service-keys.ts'
import { tooManyAtOnce } from '../http/catalogue.ts'
import { jsonBytes, readPage } from '../http/pages.ts'
import { administrator, jsonBody, refusals } from '../http/refusals.ts'
import { actorOf } from '../operator/actions.ts'
import { appOf, apps, setApp } from '../operator/app-changes.ts'
import { App, MaxOverage } from '../schemas/admin.ts'
import { Credits, ListQuery, NextCursor, nullable, PageLimit, ref, Slug } from '../schemas/primitives.ts'

export const adminAppRoutes: FastifyPluginAsyncTypebox = async (app) => {
  // Refuses a service key by its scope.
  app.addHook('onRequest', requireAdminOrKey)

  app.put(
    '/api/admin/apps/:slug',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'setApp',
        summary: 'Register an app, or change it; absent fields keep their value',
        description:
          'Origins are allowed within 30 seconds on every instance. The new settle key is shown in this answer only.',
        params: Type.Object({ slug: Slug }),
        body: Type.Object(
          {
            name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
            starter_credits: Type.Optional(
              Credits({
                description:
                  'Granted once to each account that uses the app for the first time from now on; 0 for a new app',
              }),
            ),
            max_overage: Type.Optional(nullable(MaxOverage)),
            origins: Type.Optional(
              Type.Array(Type.String({ maxLength: 300, documented: { format: 'uri', pattern: '^https?://[^/]+$' } }), {
                maxItems: 50,
                description: 'Exact web origins. A page of such an origin can use the whole account of its visitor',
              }),
            ),
            return_paths: Type.Optional(
              Type.Array(Type.String({ maxLength: 300, pattern: RETURN_PATH }), {
                maxItems: 50,
                description:
                  'Where a sign-in may return to at the origins: a path, or with a slash at its end all paths below it. Empty: everywhere',
              }),
            ),
            redirect_uris: Type.Optional(
              Type.Array(
                Type.String({ maxLength: 1_000, documented: { format: 'uri', pattern: '^https?://[^/]+/' } }),
                {
                  maxItems: 50,
                  description:
                    'Where OAuth sends people back to: https, or http on a loopback address, with any port there. ' +
                    'Compared character by character',
                },
              ),
            ),
            resources: Type.Optional(
              Type.Array(
                Type.String({ maxLength: 1_000, documented: { format: 'uri', pattern: '^https?://[^#]+$' } }),
                {
                  maxItems: 50,
                  description:
                    "URLs of the app's own APIs that OAuth tokens can be for (RFC 8707); no other app can have the same",
                },
              ),
            ),
            settle_key: Type.Optional(
              Type.Unsafe<'rotate' | 'remove'>({
                type: 'string',
                enum: ['rotate', 'remove'],
                description:
                  'rotate: make a new settle key and return it once; the previous one works for ten more minutes. ' +
                  "remove: all keys stop working at once, and a user's token can settle the app's jobs again",
              }),
            ),
          },
          {
            examples: [
              {
                name: 'Video',
                starter_credits: 20,
                origins: ['https://video.example.com'],
                redirect_uris: ['https://video.example.com/callback'],
              },
            ],
          },
        ),
        response: {
          200: Type.Object({ app: ref(App) }, { description: 'OK', examples: [{ app: App.examples[0] }] }),
          ...refusals(administrator, jsonBody),
        },
      },
    },
    async (request, reply) => {
      const saved = await setApp(app, actorOf(request), request.params.slug, request.body)
      if (saved.settle_key !== undefined) reply.header('cache-control', 'no-store')
      return { app: saved }
    },
  )

  app.get(
    '/api/admin/apps',
    {
      config: { large: true },
      schema: {
        tags: ['Admin'],
        operationId: 'listApps',
        summary: 'List the registered apps',
        description: 'By slug.',
        querystring: ListQuery({
          limit: PageLimit(200),
          cursor: Type.Optional({ ...Slug, description: 'next_cursor of the previous page' }),
        }),
        response: {
          200: Type.Object(
            { apps: Type.Array(ref(App)), next_cursor: NextCursor },
            { description: 'OK', examples: [{ apps: App.examples, next_cursor: null }] },
          ),
          ...refusals(administrator, tooManyAtOnce),
        },
      },
    },
    async (request) => {
      const { limit = 200, cursor } = request.query
      const read = (last: { slug: string } | undefined, count: number) => {
        const after = last?.slug ?? cursor
        return apps(app.db)
          .$if(after !== undefined, (page) => page.where('slug', '>', after ?? ''))
          .orderBy('slug')
          .limit(count)
          .execute()
      }
      const { rows, more } = await readPage(limit, read, jsonBytes)
      return { apps: rows.map(appOf), next_cursor: more ? (rows.at(-1)?.slug ?? null) : null }
    },
  )
}
