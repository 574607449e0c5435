import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { sql } from 'kysely'
import { callerOf, refuseClosed } from '../access/caller.ts'
import { requireAdminOrKey } from '../access/service-keys.ts'
import { mintSettleKey, OVERLAP_MINUTES } from '../access/settle-keys.ts'
import { revokeTokens } from '../access/tokens.ts'
import { accountIdOf, CLERK_USER_ID } from '../accounts/account-id.ts'
import { ERASED, eraseAccount } from '../accounts/erase.ts'
import { findAccount } from '../accounts/find.ts'
import { noteAdditions, undoLateAdditions } from '../accounts/late-additions.ts'
import { isOrigin } from '../addresses.ts'
import {
  accountClosed,
  accountNotFound,
  badField,
  balanceOutOfRange,
  notAnAdministrator,
  referenceReused,
  serviceKeyInBrowser,
  serviceKeyInvalid,
  tooManyAtOnce,
  wouldGoNegative,
} from '../http/catalogue.ts'
import { jsonBytes, readPage } from '../http/pages.ts'
import { jsonBody, refusals, signedIn } from '../http/refusals.ts'
import { adjust } from '../ledger/operations.ts'
import { MAX_CREDITS, OWN_REFERENCES } from '../ledger/rules.ts'
import { verify } from '../ledger/verify.ts'
import { canonicalResource } from '../oauth/clients.ts'
import { isRedirectUri } from '../oauth/redirect-uris.ts'
import { Account, Entry } from '../schemas/account.ts'
import { AdjustmentKind, App, MaxOverage } from '../schemas/admin.ts'
import { Credits, ListQuery, NextCursor, nullable, PageLimit, ref, Slug } from '../schemas/primitives.ts'

const ClerkId = Type.String({ pattern: CLERK_USER_ID, description: 'The Clerk user id' })

const ERASED_EXAMPLE = { ...Account.examples[0], clerk_id: ERASED }

const serviceKeyErrors = [serviceKeyInvalid, serviceKeyInBrowser]
const adminErrors = [...signedIn, notAnAdministrator, accountClosed]

export const adminRoutes: FastifyPluginAsyncTypebox = async (app) => {
  // Routes with a `serviceScope` take a service key, too.
  app.addHook('onRequest', requireAdminOrKey)
  /** The check of the ledger that is under way: it reads everything, so there is one at a time. */
  let checking: ReturnType<typeof verify> | undefined

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
              Type.Array(Type.String({ maxLength: 300, pattern: '^/(?!/)[^?#\\\\\\s]*$' }), {
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
          ...refusals(adminErrors, jsonBody),
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
          ...refusals(adminErrors, tooManyAtOnce),
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

  app.post(
    '/api/admin/credits',
    {
      config: { serviceScope: 'topup' },
      schema: {
        tags: ['Admin'],
        operationId: 'adjustCredits',
        summary: 'Add or remove credits; creates the account if it does not exist',
        description:
          'Posts one entry. `reference` is unique per account: repeating the request changes nothing. A service key with scope `topup` posts top-ups.',
        body: Type.Object(
          {
            clerk_id: ClerkId,
            amount: Type.Integer({
              minimum: -MAX_CREDITS,
              maximum: MAX_CREDITS,
              description: 'Credits, not 0; a negative amount removes credits',
            }),
            kind: AdjustmentKind,
            reference: Type.String({
              minLength: 1,
              maxLength: 255,
              description: 'Unique per account, such as the id of a payment: repeating the request changes nothing',
            }),
            reason: Type.String({ minLength: 1, maxLength: 1000 }),
            allow_negative: Type.Optional(Type.Boolean({ default: false })),
            create: Type.Optional(
              Type.Boolean({
                default: false,
                description: 'With a service key: open the account if it does not exist',
              }),
            ),
          },
          {
            examples: [
              { clerk_id: 'user_2abc', amount: 100, kind: 'topup', reference: 'pi_3Q', reason: 'Bought 100 credits' },
            ],
          },
        ),
        response: {
          200: Type.Object(
            { account: ref(Account), entry: ref(Entry) },
            { description: 'OK', examples: [{ account: Account.examples[0], entry: Entry.examples[0] }] },
          ),
          ...refusals(
            adminErrors,
            serviceKeyErrors,
            jsonBody,
            accountNotFound,
            wouldGoNegative,
            referenceReused,
            balanceOutOfRange,
          ),
        },
      },
    },
    async (request) => {
      const { clerk_id, allow_negative = false, create = false, ...adjustment } = request.body
      const { serviceKey } = request
      if (adjustment.amount === 0) throw badField('amount', 'must not be 0')
      const own = OWN_REFERENCES.find((prefix) => adjustment.reference.startsWith(prefix))
      if (own !== undefined) throw badField('reference', `must not begin with ${own}, which the service itself uses`)
      if (serviceKey && adjustment.kind !== 'topup') throw badField('kind', 'must be topup with a service key')
      const owner = { id: accountIdOf(clerk_id), clerk_id }
      // A person sees whom they give credits to; a server with a wrong id would give them to nobody.
      if (serviceKey && !create) await findAccount(app.db, owner.id)
      const actor = serviceKey ? `service key ${serviceKey.id}` : callerOf(request).id
      const entry = await adjust(app.ledger, owner, { allow_negative, actor, ...adjustment })
      return { account: await findAccount(app.db, owner.id), entry }
    },
  )

  app.get(
    '/api/admin/accounts',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'getAccount',
        summary: 'Find an account by its Clerk id',
        description: 'Its id, plan and balance.',
        querystring: Type.Object({ clerk_id: ClerkId }),
        response: {
          200: Type.Object(
            { account: ref(Account) },
            { description: 'OK', examples: [{ account: Account.examples[0] }] },
          ),
          ...refusals(adminErrors, accountNotFound),
        },
      },
    },
    async (request) => ({ account: await findAccount(app.db, accountIdOf(request.query.clerk_id)) }),
  )

  app.post(
    '/api/admin/accounts/revoke-tokens',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'revokeAccountTokens',
        summary: "Revoke all of an account's personal access tokens",
        description: 'They stop working at once on the instance that answers, and within 5 seconds on the others.',
        body: Type.Object({ clerk_id: ClerkId }, { examples: [{ clerk_id: 'user_2abc' }] }),
        response: {
          200: Type.Object(
            { revoked: Type.Integer({ description: 'How many tokens stopped working' }) },
            { description: 'OK', examples: [{ revoked: 2 }] },
          ),
          ...refusals(adminErrors, jsonBody, accountNotFound),
        },
      },
    },
    async (request) => {
      const { id } = await findAccount(app.db, accountIdOf(request.body.clerk_id))
      return { revoked: await app.pats.revoking(id, () => revokeTokens(app.db, id)) }
    },
  )

  app.post(
    '/api/admin/accounts/erase',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'eraseAccount',
        summary: 'Erase a person: close the account and clear the Clerk id and job metadata; the ledger stays',
        description: 'It cannot be undone.',
        body: Type.Object({ clerk_id: ClerkId }, { examples: [{ clerk_id: 'user_2abc' }] }),
        response: {
          200: Type.Object(
            { account: ref(Account) },
            { description: 'Erased; repeating the request changes nothing', examples: [{ account: ERASED_EXAMPLE }] },
          ),
          ...refusals(adminErrors, jsonBody, accountNotFound),
        },
      },
    },
    async (request) => {
      const { clerk_id } = request.body
      const { id } = await findAccount(app.db, accountIdOf(clerk_id))
      await app.pats.revoking(id, () => eraseAccount(app.db, app.ledger, id, clerk_id))
      await app.origins.refresh()
      return { account: await findAccount(app.db, id) }
    },
  )

  app.get(
    '/api/admin/verify',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'verifyLedger',
        summary: 'Check every invariant of the ledger',
        description: 'Reads the whole ledger: a large one takes up to two minutes.',
        response: {
          200: Type.Object(
            {
              ok: Type.Boolean(),
              checks: Type.Array(
                Type.Object({
                  name: Type.String(),
                  violations: Type.Integer({ description: 'How many rows violate it' }),
                  examples: Type.Array(
                    Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }),
                  ),
                }),
              ),
            },
            {
              description: 'ok: no check found a violation',
              examples: [
                { ok: true, checks: [{ name: 'credits equal the sum of the entries', violations: 0, examples: [] }] },
              ],
            },
          ),
          ...refusals(adminErrors),
        },
      },
    },
    () => {
      checking ??= verify(app.db).finally(() => {
        checking = undefined
      })
      return checking
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
