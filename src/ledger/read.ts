import type { Selectable } from 'kysely'
import { gather, gatherRows } from '../db/gather.ts'
import { isoTime, statement } from '../db/statement.ts'
import type { Db, JobStatus, Tables } from '../db/tables.ts'
import { oversized, readable } from './metadata.ts'

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

/** A job as it is answered. Times are ISO 8601. */
export interface JobRow {
  id: string
  app_slug: string
  action: string
  status: JobStatus
  reserved: number
  actual_cost: number
  requested_cost: number
  refunded: number
  metadata: Record<string, unknown> | null
  failure_reason: string | null
  expires_at: string
  created_at: string
  updated_at: string
}

/** SQL: the columns of an answered job but its metadata. */
export const JOB_COLUMNS = `id, app_slug, action, status, reserved, actual_cost,
  coalesce(requested_cost, actual_cost) as requested_cost, refunded, failure_reason,
  ${isoTime('expires_at')} as expires_at, ${isoTime('created_at')} as created_at, ${isoTime('updated_at')} as updated_at`

const findJob = statement<{ account_id: string; id: string }, JobRow>(
  'find_job',
  `select ${JOB_COLUMNS}, metadata from jobs where account_id = $account_id::uuid and id = $id::uuid`,
)

const findJobs = statement<
  { account_ids: string[]; ids: string[] },
  JobRow & { account_id: string; oversized: boolean }
>(
  'find_jobs',
  `select jobs.account_id, ${JOB_COLUMNS.replaceAll(/\bid\b/g, 'jobs.id')}, ${readable()} as metadata,
    ${oversized} as oversized
  from unnest($account_ids::uuid[], $ids::uuid[]) as asked (account_id, id)
    join jobs on jobs.account_id = asked.account_id and jobs.id = asked.id
  where jobs.account_id = any($account_ids::uuid[])`,
)

const job = gather<JobRow & { oversized?: boolean }>(async (db, keys) => {
  const named = keys.map((key) => key.split(' ') as [string, string])
  if (named.length === 1 && named[0]) {
    const [account_id, id] = named[0]
    const [row] = await findJob(db, { account_id, id })
    return new Map(row && [[`${account_id} ${id}`, row]])
  }
  const rows = await findJobs(db, { account_ids: named.map(([one]) => one), ids: named.map(([, id]) => id) })
  return new Map(rows.map(({ account_id, ...row }) => [`${account_id} ${row.id}`, row]))
})

/** Reads a job of an account; undefined: it has none of that id, which is a UUID. */
export async function readJob(db: Db, accountId: string, jobId: string): Promise<JobRow | undefined> {
  const found = await job(db, `${accountId} ${jobId.toLowerCase()}`)
  if (!found) return undefined
  const { oversized, ...row } = found
  // Not beside those that others read at the same time.
  return oversized ? { ...row, metadata: await readMetadata(db, accountId, row.id) } : row
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
  /** null: automatic top-ups were never set up */
  payer: Payer | null
}

/** Automatic top-ups of an account. */
type Payer = Pick<
  Selectable<Tables['payers']>,
  'state' | 'reason' | 'retry_at' | 'pack_slug' | 'credits' | 'price' | 'currency' | 'below' | 'monthly_cap' | 'card'
>

// One query for all accounts that are asked for. The lists of apps come as JSON, because a row for each would cost more to read.
const accounts = gatherRows<{
  id: string
  clerk_id: string
  plan: string
  credits: number
  held: number
  apps: [slug: string, starter_credits: number][]
  grants: [slug: string, credits: number, granted_at: string | null][] | null
  payer: (Omit<Payer, 'retry_at'> & { retry_at: string | null }) | null
}>(
  'wallets',
  'uuid',
  (is, id = 'accounts.id') => `select id as key, id, clerk_id, plan, credits, held,
    (select coalesce(json_agg(json_build_array(slug, starter_credits)), '[]') from apps) as apps,
    (select json_agg(json_build_array(app_slug, g.credits, ${isoTime('granted_at')}))
      from app_grants g where account_id = ${id}) as grants,
    (select json_build_object('state', state, 'reason', reason, 'retry_at', ${isoTime('retry_at')}, 'pack_slug', pack_slug,
        'credits', p.credits, 'price', price, 'currency', currency, 'below', below, 'monthly_cap', monthly_cap, 'card', card)
      from payers p where account_id = ${id}) as payer
  from accounts where id ${is}`,
)

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
  const payer = found?.payer ?? null
  return {
    account: found,
    apps: [...apps.values()].sort((one, other) => (one.slug < other.slug ? -1 : 1)),
    payer: payer && { ...payer, retry_at: payer.retry_at === null ? null : new Date(payer.retry_at) },
  }
}
