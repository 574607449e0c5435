import type { Db } from '../db/tables.ts'
import { removeMessagesOf } from '../webhooks/dead-letters.ts'
import { readEndpoints } from '../webhooks/outbox.ts'

/**
 * An app's origins, redirect URIs and resources decide who receives its users' tokens. The table `app_additions` records which
 * administrator added each value, so that the last additions of a banned administrator can be undone.
 */

/** The lists of an app whose additions are recorded. */
const FIELDS = ['origins', 'redirect_uris', 'resources'] as const
type Lists = Record<(typeof FIELDS)[number], string[]>

/** How long a session JWT stays valid after its user is banned, in ms. */
const JWT_MS = 60_000

/**
 * Records who added the new values of an app's lists.
 * @param before the lists before the change; undefined: the app is new
 * @param added_by the administrator's account id
 */
export async function noteAdditions(
  db: Db,
  app: { slug: string } & Lists,
  before: Lists | undefined,
  added_by: string,
): Promise<void> {
  const additions = FIELDS.flatMap((field) =>
    [...new Set(app[field])]
      .filter((value) => !before?.[field].includes(value))
      .map((value) => ({ app_slug: app.slug, field, value, added_by, added_at: new Date() })),
  )
  if (!additions.length) return
  await db
    .insertInto('app_additions')
    .values(additions)
    .onConflict((conflict) =>
      conflict.columns(['app_slug', 'field', 'value']).doUpdateSet((row) => ({
        added_by: row.ref('excluded.added_by'),
        added_at: row.ref('excluded.added_at'),
      })),
    )
    .execute()
}

/**
 * Undoes what a banned administrator did while their last JWT was still valid: removes the values that they added to apps, revokes the
 * service keys that they created, deletes the webhook endpoints that they registered, and pauses the endpoints whose URL they changed.
 * @param bannedAt when the ban took effect. What is younger than a minute before is undone, later changes included
 */
export async function undoLateAdditions(
  db: Db,
  { id, clerk_id }: { id: string; clerk_id: string },
  bannedAt: Date,
): Promise<void> {
  const since = new Date(bannedAt.getTime() - JWT_MS)
  await db
    .updateTable('service_keys')
    .set({ revoked_at: new Date() })
    .where('created_by', '=', clerk_id)
    .where('created_at', '>', since)
    .where('revoked_at', 'is', null)
    .execute()
  await undoLateEndpoints(db, id, since)
  const late = await db
    .selectFrom('app_additions')
    .select(['app_slug', 'field', 'value'])
    .where('added_by', '=', id)
    .where('added_at', '>', since)
    .execute()
  for (const { app_slug, field, value } of late) {
    await db
      .updateTable('apps')
      .set(({ fn, ref, val }) => ({ [field]: fn('array_remove', [ref(field), val(value)]) }))
      .where('slug', '=', app_slug)
      .execute()
    await db
      .deleteFrom('app_additions')
      .where('app_slug', '=', app_slug)
      .where('field', '=', field)
      .where('value', '=', value)
      .execute()
  }
}

/** Finds the endpoints in the audit log. */
async function undoLateEndpoints(db: Db, administrator: string, since: Date): Promise<void> {
  const actions = await db
    .selectFrom('admin_actions')
    .select(['action', 'target', 'after'])
    .where('actor_id', '=', administrator)
    .where('created_at', '>', since)
    .where('action', 'in', ['createWebhookEndpoint', 'updateWebhookEndpoint'])
    .execute()
  for (const { action, target, after } of actions) {
    const id = target?.replace(/^webhook /, '') ?? ''
    if (action === 'createWebhookEndpoint') {
      await db.deleteFrom('webhook_endpoints').where('id', '=', id).execute()
      await removeMessagesOf(db, id)
    } else if (after?.url !== undefined) {
      const paused = { paused_at: new Date(), pause_reason: 'operator' as const }
      await db.updateTable('webhook_endpoints').set(paused).where('id', '=', id).execute()
    }
  }
  if (actions.length > 0) await readEndpoints(db)
}
