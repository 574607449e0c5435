import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { sql } from 'kysely'
import { callerOf, refuseClosed } from '../access/caller.ts'
import { requireAdminOrKey } from '../access/service-keys.ts'
import { mintSettleKey, OVERLAP_MINUTES } from '../access/settle-keys.ts'
import { noteAdditions, undoLateAdditions } from '../accounts/late-additions.ts'
import { isOrigin } from '../addresses.ts'
import { badField, tooManyAtOnce } from '../http/catalogue.ts'
import { jsonBytes, readPage } from '../http/pages.ts'
import { administrator, jsonBody, refusals } from '../http/refusals.ts'
import { canonicalResource } from '../oauth/clients.ts'
import { isRedirectUri } from '../oauth/redirect-uris.ts'
import { App, MaxOverage } from '../schemas/admin.ts'
import { Credits, ListQuery, NextCursor, nullable, PageLimit, ref, Slug } from '../schemas/primitives.ts'

export const adminAppRoutes: FastifyPluginAsyncTypebox = async (app) => {
  // Refuses a service key by its scope.
  app.addHook('onRequest', requireAdminOrKey)

  const columns = [
    'slug',
    'name',
    'starter_credits',
    'origins',
    'return_paths',
    'redirect_uris',
    'resources',
    'max_overage',
    'max_overage_percent',
    sql<boolean>`settle_key_hash is not null`.as('has_settle_key'),
    'created_at',
  ] as const

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
              Type.Array(Type.String({ maxLength: 300, pattern: '^/([^/?#\\\\\\s][^?#\\\\\\s]*)?$' }), {
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
      const { name, starter_credits, origins, return_paths, redirect_uris, settle_key } = request.body
      const invalid = origins?.find((origin) => !isOrigin(origin))
      if (invalid !== undefined)
        throw badField('origins', `must be exact origins such as https://app.example.com, not ${invalid}`)
      const wrongUri = redirect_uris?.find((uri) => !isRedirectUri(uri))
      if (wrongUri !== undefined) {
        throw badField(
          'redirect_uris',
          `must be addresses such as https://app.example.com/callback, as a browser writes them, not ${wrongUri}`,
        )
      }
      const { slug } = request.params
      const resources = await readResources(request.body.resources, slug)
      const minted = settle_key === 'rotate' ? mintSettleKey(slug) : undefined
      const given = {
        slug,
        ...(starter_credits !== undefined && { starter_credits }),
        ...overageColumns(request.body.max_overage),
        ...(name !== undefined && { name }),
        ...(origins && { origins }),
        ...(return_paths && { return_paths }),
        ...(redirect_uris && { redirect_uris }),
        ...(resources && { resources }),
        ...(settle_key && { settle_key_hash: minted?.hash ?? null }),
      }
      const overlap = sql<Date>`now() + make_interval(mins => ${OVERLAP_MINUTES})`
      const before = await app.db
        .selectFrom('apps')
        .select(['origins', 'redirect_uris', 'resources'])
        .where('slug', '=', slug)
        .executeTakeFirst()
      const saved = await app.db
        .insertInto('apps')
        // Computed in VALUES because Citus refuses functions such as now() in ON CONFLICT DO UPDATE.
        .values({ ...given, ...(minted && { previous_settle_key_until: overlap }) })
        .onConflict((conflict) =>
          conflict.column('slug').doUpdateSet((row) => ({
            ...given,
            ...(settle_key && {
              previous_settle_key_hash: minted ? row.ref('apps.settle_key_hash') : null,
              previous_settle_key_until: minted ? row.ref('excluded.previous_settle_key_until') : null,
            }),
          })),
        )
        .returning(columns)
        .executeTakeFirstOrThrow()
      const { id } = callerOf(request)
      await noteAdditions(app.db, saved, before, id)
      // The account may have been closed meanwhile, before there was anything to take back.
      await refuseClosed(request, callerOf(request)).catch(async (error) => {
        await undoLateAdditions(app.db, callerOf(request), new Date())
        throw error
      })
      await app.origins.refresh()
      if (minted) reply.header('cache-control', 'no-store')
      return { app: { ...appOf(saved), ...(minted && { settle_key: minted.key }) } }
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
        return app.db
          .selectFrom('apps')
          .select(columns)
          .$if(after !== undefined, (apps) => apps.where('slug', '>', after ?? ''))
          .orderBy('slug')
          .limit(count)
          .execute()
      }
      const { rows: apps, more } = await readPage(limit, read, jsonBytes)
      return { apps: apps.map(appOf), next_cursor: more ? (apps.at(-1)?.slug ?? null) : null }
    },
  )

  /** The resources in the form in which they are compared. @throws {ApiError} 400 for one that another app has, or is ours */
  async function readResources(given: string[] | undefined, slug: string): Promise<string[] | undefined> {
    const resources: string[] = []
    for (const raw of given ?? []) {
      const resource = canonicalResource(raw)
      if (resource === undefined || resource === app.config.publicUrl) {
        throw badField('resources', `must be http(s) URLs of the app, without a fragment, not ${raw}`)
      }
      resources.push(resource)
    }
    const taken = await app.db
      .selectFrom('apps')
      .select('slug')
      .where('slug', '!=', slug)
      .where('resources', '&&', sql<string[]>`${resources}::text[]`)
      .executeTakeFirst()
    if (taken) throw badField('resources', `must be the app's own; ${taken.slug} has one of them`)
    return given && resources
  }
}

/** The columns of a cap on overages; null removes it. */
const overageColumns = (cap: (typeof MaxOverage)['static'] | null | undefined) =>
  cap === undefined ? {} : { max_overage: cap?.credits ?? null, max_overage_percent: cap?.percent ?? null }

/** An app as the API says it. */
function appOf<T extends { max_overage: number | null; max_overage_percent: number | null }>(row: T) {
  const { max_overage: credits, max_overage_percent: percent, ...app } = row
  return { ...app, max_overage: credits !== null ? { credits } : percent !== null ? { percent } : null }
}
