import { gather } from '../db/gather.ts'
import { isoTime, statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/** The metadata of one job, however large. */
export async function readMetadata(db: Db, accountId: string, jobId: string): Promise<Record<string, unknown> | null> {
  const row = await db
    .selectFrom('jobs')
    .select('metadata')
    .where('account_id', '=', accountId)
    .where('id', '=', jobId)
    .executeTakeFirst()
  return row?.metadata ?? null
}

/** What an account has, and with which apps it has to do. */
export interface Wallet {
  /** undefined: never seen */
  account: { id: string; clerk_id: string; plan: string; credits: number; held: number } | undefined
  apps: {
    slug: string
    /** What was granted; before that, what would be */
    starter_credits: number
    granted: boolean
    /** ISO 8601, UTC, with milliseconds */
    granted_at: string | null
    registered: boolean
    /** The account has used it */
    seen: boolean
  }[]
}

// One query for all accounts that are asked for. The lists of apps come as JSON, because a row for each would cost more to read.
const accountsAndApps = statement<
  { account_ids: string[] },
  {
    id: string
    clerk_id: string
    plan: string
    credits: number
    held: number
    apps: [slug: string, starter_credits: number][]
    grants: [slug: string, credits: number, granted_at: string | null][] | null
  }
>(
  'wallets',
  `select id, clerk_id, plan, credits, held,
    (select coalesce(json_agg(json_build_array(slug, starter_credits)), '[]') from apps) as apps,
    (select json_agg(json_build_array(app_slug, g.credits, ${isoTime('granted_at')}))
      from app_grants g where account_id = accounts.id) as grants
  from accounts where id = any($account_ids::uuid[])`,
)

const accounts = gather(async (db, account_ids) => {
  const rows = await accountsAndApps(db, { account_ids })
  return new Map(rows.map((row) => [row.id, row]))
})

const registeredApps = statement<Record<never, never>, { slug: string; starter_credits: number }>(
  'registered_apps',
  'select slug, starter_credits from apps',
)

/** Reads an account with its apps, registered ones and its own, by slug. An account that was never seen has the registered ones. */
export async function readWallet(db: Db, accountId: string): Promise<Wallet> {
  const found = await accounts(db, accountId)
  const offered: [string, number][] = found
    ? found.apps
    : (await registeredApps(db, {})).map(({ slug, starter_credits }) => [slug, starter_credits])
  const apps = new Map<string, Wallet['apps'][number]>()
  for (const [slug, starter_credits] of offered) {
    apps.set(slug, { slug, starter_credits, granted: false, granted_at: null, registered: true, seen: false })
  }
  for (const [slug, credits, granted_at] of found?.grants ?? []) {
    const { registered = false, starter_credits: offer = 0 } = apps.get(slug) ?? {}
    const granted = granted_at !== null
    apps.set(slug, {
      slug,
      starter_credits: granted ? credits : offer,
      granted,
      granted_at,
      registered,
      seen: true,
    })
  }
  return {
    account: found,
    apps: [...apps.values()].sort((one, other) => (one.slug < other.slug ? -1 : 1)),
  }
}
