import type { Static } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { type Selectable, sql } from 'kysely'
import { RETURN_PATH } from '../access/origins.ts'
import { mintSettleKey, OVERLAP_MINUTES } from '../access/settle-keys.ts'
import { noteAdditions, undoLateAdditions } from '../accounts/late-additions.ts'
import { isOrigin } from '../addresses.ts'
import type { Db, Tables } from '../db/tables.ts'
import { accountClosed, badField } from '../http/catalogue.ts'
import { canonicalResource } from '../oauth/clients.ts'
import { isRedirectUri } from '../oauth/redirect-uris.ts'
import type { MaxOverage } from '../schemas/admin.ts'
import { type Actor, differing, recordAction } from './actions.ts'

/** Reads, registers and changes apps for operators. */

type Service = Pick<FastifyInstance, 'db' | 'config' | 'origins'>

const COLUMNS = [
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

/** A query of apps with the columns that `appOf` takes. */
export const apps = (db: Db) => db.selectFrom('apps').select(COLUMNS)

/** An app as the API shows it. */
export function appOf<T extends Pick<Selectable<Tables['apps']>, 'max_overage' | 'max_overage_percent'>>(row: T) {
  const { max_overage: credits, max_overage_percent: percent, ...app } = row
  return { ...app, max_overage: credits !== null ? { credits } : percent !== null ? { percent } : null }
}

/** Absent fields stay as they are. */
export interface AppChanges {
  name?: string | null
  starter_credits?: number
  max_overage?: Static<typeof MaxOverage> | null
  origins?: string[]
  return_paths?: string[]
  redirect_uris?: string[]
  resources?: string[]
  settle_key?: 'rotate' | 'remove'
}

/**
 * Registers an app, or changes it.
 * @returns the app, with the settle key if a new one was made
 * @throws {ApiError} 400 for what `checkAddresses` refuses; 403 account_closed
 */
export async function setApp({ db, config, origins }: Service, actor: Actor, slug: string, changes: AppChanges) {
  const { resources } = await checkAddresses({ db, config }, slug, changes)
  const { name, starter_credits, max_overage, settle_key } = changes
  const minted = settle_key === 'rotate' ? mintSettleKey(slug) : undefined
  const given = {
    slug,
    ...(starter_credits !== undefined && { starter_credits }),
    ...overageColumns(max_overage),
    ...(name !== undefined && { name }),
    ...(changes.origins && { origins: changes.origins }),
    ...(changes.return_paths && { return_paths: changes.return_paths }),
    ...(changes.redirect_uris && { redirect_uris: changes.redirect_uris }),
    ...(resources && { resources }),
    ...(settle_key && { settle_key_hash: minted?.hash ?? null }),
  }
  const overlap = sql<Date>`now() + make_interval(mins => ${OVERLAP_MINUTES})`
  const saved = await db.transaction().execute(async (trx) => {
    const before = await apps(trx).where('slug', '=', slug).forUpdate().executeTakeFirst()
    const after = await trx
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
      .returning(COLUMNS)
      .executeTakeFirstOrThrow()
    await noteAdditions(trx, after, before, actor.id)
    const states = differing(before && appOf(before), { ...appOf(after), ...(settle_key && { settle_key }) })
    if (Object.keys(states.after).length)
      await recordAction(trx, actor, { action: 'setApp', target: `app ${slug}`, ...states })
    return after
  })
  const administrator = await db
    .selectFrom('accounts')
    .select('closed_at')
    .where('id', '=', actor.id)
    .executeTakeFirst()
  // When the administrator was banned during this call, the ban found nothing to undo yet.
  if (administrator?.closed_at) {
    await undoLateAdditions(db, actor, new Date())
    throw accountClosed()
  }
  await origins.refresh()
  return { ...appOf(saved), ...(minted && { settle_key: minted.key }) }
}

/**
 * Checks the addresses that an app is to have.
 * @returns its resources in canonical form; undefined: they stay
 * @throws {ApiError} 400 for invalid origins, return paths, redirect URIs and resources, and for a resource of another app
 */
export async function checkAddresses(
  { db, config }: Pick<Service, 'db' | 'config'>,
  slug: string,
  { origins, return_paths, redirect_uris, resources }: AppChanges,
): Promise<{ resources: string[] | undefined }> {
  const invalid = origins?.find((origin) => !isOrigin(origin))
  if (invalid !== undefined)
    throw badField('origins', `must be exact origins such as https://app.example.com, not ${invalid}`)
  const wrongPath = return_paths?.find((path) => !isReturnPath(path))
  if (wrongPath !== undefined)
    throw badField('return_paths', `must be paths such as /callback, or /auth/ for all below it, not ${wrongPath}`)
  const wrongUri = redirect_uris?.find((uri) => !isRedirectUri(uri))
  if (wrongUri !== undefined) {
    throw badField(
      'redirect_uris',
      `must be addresses such as https://app.example.com/callback, as a browser writes them, not ${wrongUri}`,
    )
  }
  return { resources: await readResources(db, config.publicUrl, resources, slug) }
}

const isReturnPath = (path: string) => new RegExp(RETURN_PATH).test(path)

/** The resources in canonical form. @throws {ApiError} 400 for one that is invalid, this service's own or another app's */
async function readResources(db: Db, publicUrl: string, given: string[] | undefined, slug: string) {
  const resources: string[] = []
  for (const raw of given ?? []) {
    const resource = canonicalResource(raw)
    if (resource === undefined || resource === publicUrl) {
      throw badField('resources', `must be http(s) URLs of the app, without a fragment, not ${raw}`)
    }
    resources.push(resource)
  }
  const taken = await db
    .selectFrom('apps')
    .select('slug')
    .where('slug', '!=', slug)
    .where('resources', '&&', sql<string[]>`${resources}::text[]`)
    .executeTakeFirst()
  if (taken) throw badField('resources', `must be the app's own; ${taken.slug} has one of them`)
  return given && resources
}

/** The columns of a cap on overages. @param cap null: removes it; undefined: leaves it */
const overageColumns = (cap: AppChanges['max_overage']) =>
  cap === undefined ? {} : { max_overage: cap?.credits ?? null, max_overage_percent: cap?.percent ?? null }
