import type { Selectable } from 'kysely'
import { statement } from '../db/statement.ts'
import type { Db, Tables } from '../db/tables.ts'

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
    granted_at: Date | null
    registered: boolean
    /** The account has used it */
    seen: boolean
  }[]
  /** null: automatic top-ups have never been set up */
  payer: Payer | null
}

type Payer = Pick<
  Selectable<Tables['payers']>,
  'state' | 'reason' | 'retry_at' | 'pack_slug' | 'credits' | 'price' | 'currency' | 'below' | 'monthly_cap' | 'card'
>

// One statement, because a round trip costs more than what it asks: the account (none: only registered apps), beside
// every app that is registered or its own.
const accountAndApps = statement<
  { account_id: string },
  {
    id: string | null
    clerk_id: string
    plan: string
    credits: number
    held: number
    slug: string | null
    starter_credits: number | null
    granted: number | null
    granted_at: Date | null
    seen: boolean
    payer: (Omit<Payer, 'retry_at'> & { retry_at: string | null }) | null
  }
>(
  'wallet',
  `select a.id, a.clerk_id, a.plan, a.credits, a.held, coalesce(apps.slug, g.app_slug) as slug, apps.starter_credits,
    g.credits as granted, g.granted_at, g.app_slug is not null as seen,
    case when p.account_id is not null then jsonb_build_object('state', p.state, 'reason', p.reason, 'retry_at', p.retry_at,
      'pack_slug', p.pack_slug, 'credits', p.credits, 'price', p.price, 'currency', p.currency, 'below', p.below,
      'monthly_cap', p.monthly_cap, 'card', p.card) end as payer
  from (select) as one
    left join accounts a on a.id = $account_id::uuid
    left join payers p on p.account_id = $account_id::uuid
    left join (apps full join (select * from app_grants where account_id = $account_id::uuid) g on g.app_slug = apps.slug)
      on true`,
)

/** Reads an account with its apps, registered ones and its own, by slug. */
export async function readWallet(db: Db, accountId: string): Promise<Wallet> {
  const rows = await accountAndApps(db, { account_id: accountId })
  const [first] = rows
  const account = first?.id
    ? { id: first.id, clerk_id: first.clerk_id, plan: first.plan, credits: first.credits, held: first.held }
    : undefined
  const apps = rows
    .flatMap(({ slug, starter_credits, granted, granted_at, seen }) => {
      if (slug === null) return []
      const registered = starter_credits !== null
      const offered = starter_credits ?? 0
      return [
        {
          slug,
          starter_credits: granted_at !== null ? (granted ?? 0) : offered,
          granted: granted_at !== null,
          granted_at,
          registered,
          seen,
        },
      ]
    })
    .sort((one, other) => (one.slug < other.slug ? -1 : 1))
  const { payer = null } = first ?? {}
  return {
    account,
    apps,
    payer: payer && { ...payer, retry_at: payer.retry_at === null ? null : new Date(payer.retry_at) },
  }
}
