import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { sql } from 'kysely'
import { requireAdmin } from '../access/caller.ts'
import { mintSettleKey, OVERLAP_MINUTES } from '../access/settle-keys.ts'
import { revokeTokens } from '../access/tokens.ts'
import { accountIdOf, CLERK_USER_ID } from '../accounts/account-id.ts'
import { ERASED, eraseAccount } from '../accounts/erase.ts'
import { isOrigin } from '../addresses.ts'
import { ApiError, badField } from '../http/errors.ts'
import { adjust } from '../ledger/operations.ts'
import { MAX_CREDITS, STARTER_REFERENCE } from '../ledger/rules.ts'
import { verify } from '../ledger/verify.ts'
import {
  Account,
  AdjustmentKind,
  App,
  bodyFailures,
  Credits,
  Entry,
  failures,
  protectedFailures,
  ref,
  Slug,
} from '../schemas/all.ts'

const ClerkId = Type.String({ pattern: CLERK_USER_ID, description: 'The Clerk user id' })

const ERASED_EXAMPLE = { ...Account.examples[0], clerk_id: ERASED }

const forbidden = failures.forbidden('not_an_administrator', 'Only an administrator may do this.')
const adminFailures = { ...protectedFailures, 403: forbidden }
const adminBodyFailures = { ...bodyFailures, 403: forbidden }

export const adminRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAdmin)

  const columns = [
    'slug',
    'name',
    'starter_credits',
    'origins',
    sql<boolean>`settle_key_hash is not null`.as('has_settle_key'),
    'created_at',
  ] as const

  app.put(
    '/api/admin/apps/:slug',
    {
      schema: {
        tags: ['Admin'],
        summary: 'Register an app or change it; what is not given stays',
        params: Type.Object({ slug: Slug }),
        body: Type.Object(
          {
            name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
            starter_credits: Credits({ description: 'Granted once to everybody who first uses the app from now on' }),
            origins: Type.Optional(
              Type.Array(Type.String({ maxLength: 300 }), {
                maxItems: 50,
                description: 'Exact web origins; each is trusted with the whole account of whoever uses it',
              }),
            ),
            settle_key: Type.Optional(
              Type.Unsafe<'rotate' | 'remove'>({
                type: 'string',
                enum: ['rotate', 'remove'],
                description:
                  'rotate: a new settle key, answered once; the one before stays good for ten minutes. ' +
                  "remove: every key ends at once, and a person's token settles the app's jobs again",
              }),
            ),
          },
          { examples: [{ name: 'Video', starter_credits: 20, origins: ['https://video.example.com'] }] },
        ),
        response: {
          200: Type.Object({ app: ref(App) }, { description: 'OK', examples: [{ app: App.examples[0] }] }),
          ...adminBodyFailures,
        },
      },
    },
    async (request, reply) => {
      const { name, starter_credits, origins, settle_key } = request.body
      const odd = origins?.find((origin) => !isOrigin(origin))
      if (odd !== undefined)
        throw badField('origins', `must be exact origins such as https://app.example.com, not ${odd}`)
      const { slug } = request.params
      const minted = settle_key === 'rotate' ? mintSettleKey(slug) : undefined
      const given = {
        starter_credits,
        ...(name !== undefined && { name }),
        ...(origins && { origins }),
        ...(settle_key && { settle_key_hash: minted?.hash ?? null }),
      }
      const overlap = sql<Date>`now() + make_interval(mins => ${OVERLAP_MINUTES})`
      const saved = await app.db
        .insertInto('apps')
        // Said here, not in the update: there, a sharded Postgres takes no function of the time.
        .values({ slug, ...given, ...(minted && { previous_settle_key_until: overlap }) })
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
      await app.origins.refresh()
      if (minted) reply.header('cache-control', 'no-store')
      return { app: { ...saved, ...(minted && { settle_key: minted.key }) } }
    },
  )

  app.get(
    '/api/admin/apps',
    {
      schema: {
        tags: ['Admin'],
        summary: 'List the registered apps',
        response: {
          200: Type.Object({ apps: Type.Array(ref(App)) }, { description: 'OK', examples: [{ apps: App.examples }] }),
          ...adminFailures,
        },
      },
    },
    async () => ({ apps: await app.db.selectFrom('apps').select(columns).orderBy('slug').execute() }),
  )

  app.post(
    '/api/admin/credits',
    {
      schema: {
        tags: ['Admin'],
        summary: 'Give or take credits; the account is created if need be',
        body: Type.Object(
          {
            clerk_id: ClerkId,
            amount: Type.Integer({
              minimum: -MAX_CREDITS,
              maximum: MAX_CREDITS,
              not: { const: 0 },
              description: 'Credits, not 0; negative takes',
            }),
            kind: AdjustmentKind,
            reference: Type.String({
              minLength: 1,
              maxLength: 255,
              description: 'Unique per account, such as the id of a payment: the same request again moves nothing',
            }),
            reason: Type.String({ minLength: 1, maxLength: 1000 }),
            allow_negative: Type.Optional(Type.Boolean({ default: false })),
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
          409: failures.conflict('would_go_negative', 'The account has 5 credits; nothing was moved.'),
          ...adminBodyFailures,
        },
      },
    },
    async (request) => {
      const { clerk_id, allow_negative = false, ...wish } = request.body
      if (wish.amount === 0) throw badField('amount', 'must not be 0')
      if (wish.reference.startsWith(STARTER_REFERENCE)) {
        throw badField('reference', `must not begin with ${STARTER_REFERENCE}, which is how starter grants are called`)
      }
      const owner = { id: accountIdOf(clerk_id), clerk_id }
      const entry = await adjust(app.ledger, owner, { allow_negative, actor: request.account.clerk_id, ...wish })
      return { account: await findAccount(owner.id), entry }
    },
  )

  app.get(
    '/api/admin/accounts',
    {
      schema: {
        tags: ['Admin'],
        summary: 'Find an account by its Clerk id',
        querystring: Type.Object({ clerk_id: ClerkId }),
        response: {
          200: Type.Object(
            { account: ref(Account) },
            { description: 'OK', examples: [{ account: Account.examples[0] }] },
          ),
          404: failures.notFound('account_not_found', 'Nobody with this Clerk id has an account.'),
          ...adminFailures,
        },
      },
    },
    async (request) => ({ account: await findAccount(accountIdOf(request.query.clerk_id)) }),
  )

  app.post(
    '/api/admin/accounts/revoke-tokens',
    {
      schema: {
        tags: ['Admin'],
        summary: "Revoke all of an account's personal access tokens",
        body: Type.Object({ clerk_id: ClerkId }, { examples: [{ clerk_id: 'user_2abc' }] }),
        response: {
          200: Type.Object(
            { revoked: Type.Integer({ description: 'How many tokens stopped working' }) },
            { description: 'OK', examples: [{ revoked: 2 }] },
          ),
          404: failures.notFound('account_not_found', 'Nobody with this Clerk id has an account.'),
          ...adminBodyFailures,
        },
      },
    },
    async (request) => {
      const { id } = await findAccount(accountIdOf(request.body.clerk_id))
      return { revoked: await app.pats.revoking(id, () => revokeTokens(app.db, id)) }
    },
  )

  app.post(
    '/api/admin/accounts/erase',
    {
      schema: {
        tags: ['Admin'],
        summary:
          'Forget a person on their request: close the account, clear job metadata and the Clerk id; the ledger stays',
        body: Type.Object({ clerk_id: ClerkId }, { examples: [{ clerk_id: 'user_2abc' }] }),
        response: {
          200: Type.Object(
            { account: ref(Account) },
            { description: 'Erased, also where it was before', examples: [{ account: ERASED_EXAMPLE }] },
          ),
          404: failures.notFound('account_not_found', 'Nobody with this Clerk id has an account.'),
          ...adminBodyFailures,
        },
      },
    },
    async (request) => {
      const { clerk_id } = request.body
      const { id } = await findAccount(accountIdOf(clerk_id))
      await app.pats.revoking(id, () => eraseAccount(app.db, app.ledger, id, clerk_id))
      return { account: await findAccount(id) }
    },
  )

  app.get(
    '/api/admin/verify',
    {
      schema: {
        tags: ['Admin'],
        summary: 'Check every invariant of the ledger',
        response: {
          200: Type.Object(
            {
              ok: Type.Boolean(),
              checks: Type.Array(
                Type.Object({
                  name: Type.String(),
                  violations: Type.Integer({ description: 'How many rows break it' }),
                  examples: Type.Array(
                    Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }),
                  ),
                }),
              ),
            },
            {
              description: 'The ledger is right when ok is true',
              examples: [
                { ok: true, checks: [{ name: 'credits equal the sum of the entries', violations: 0, examples: [] }] },
              ],
            },
          ),
          ...adminFailures,
        },
      },
    },
    () => verify(app.db),
  )

  async function findAccount(id: string) {
    const account = await app.db
      .selectFrom('accounts')
      .select(['id', 'clerk_id', 'plan', 'credits', 'held'])
      .where('id', '=', id)
      .executeTakeFirst()
    if (!account) throw new ApiError(404, 'account_not_found', 'Nobody with this Clerk id has an account.')
    return account
  }
}
