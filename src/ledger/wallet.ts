import { statement } from '../db/statement.ts'
import type { Db } from './post.ts'

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
}

const accountAndGrants = statement<
  { account_id: string },
  {
    id: string
    clerk_id: string
    plan: string
    credits: number
    held: number
    app_slug: string | null
    granted: number
    granted_at: Date | null
  }
>(
  'wallet',
  `select a.id, a.clerk_id, a.plan, a.credits, a.held, g.app_slug, g.credits as granted, g.granted_at
  from accounts a left join app_grants g on g.account_id = a.id where a.id = $account_id::uuid`,
)

const registeredApps = statement<Record<never, never>, { slug: string; starter_credits: number }>(
  'registered_apps',
  'select slug, starter_credits from apps',
)

/** Reads an account with its apps, registered ones and its own, by slug. */
export async function readWallet(db: Db, accountId: string): Promise<Wallet> {
  const [rows, registered] = await Promise.all([
    accountAndGrants(db, { account_id: accountId }),
    registeredApps(db, {}),
  ])
  const [first] = rows
  const account = first && {
    id: first.id,
    clerk_id: first.clerk_id,
    plan: first.plan,
    credits: first.credits,
    held: first.held,
  }
  const grants = new Map(rows.flatMap((row) => (row.app_slug === null ? [] : [[row.app_slug, row] as const])))
  const offers = new Map(registered.map((app) => [app.slug, app.starter_credits]))
  const slugs = new Set([...offers.keys(), ...grants.keys()])
  const apps = [...slugs].sort().map((slug) => {
    const grant = grants.get(slug)
    const granted_at = grant?.granted_at ?? null
    const granted = granted_at !== null
    return {
      slug,
      starter_credits: granted && grant ? grant.granted : (offers.get(slug) ?? 0),
      granted,
      granted_at,
      registered: offers.has(slug),
      seen: grant !== undefined,
    }
  })
  return { account, apps }
}
