import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { tooManyClientDocuments, tooManyLogins, tooManyRefreshes, tooManyWrongCodes } from '../http/catalogue.ts'

/**
 * Budgets of attempts that all replicas share: how many of a kind one subject (an account, an address) may make within
 * a window that slides. Every attempt is one upsert, whose row lock serialises concurrent ones.
 */
export const BUDGETS = {
  device_start: { limit: 10, seconds: 60 },
  code_by_account: { limit: 10, seconds: 900 },
  code_by_address: { limit: 30, seconds: 900 },
  // Codes in links have budgets of their own: a page of another origin can make a browser follow links, but not type.
  link_by_account: { limit: 10, seconds: 900 },
  link_by_address: { limit: 30, seconds: 900 },
  // By login. Each refresh leaves a row until its token would have expired.
  refresh: { limit: 60, seconds: 3600 },
  // By address: client documents that it makes us fetch.
  client_document: { limit: 30, seconds: 60 },
} as const

export type Budget = keyof typeof BUDGETS

/**
 * SQL for a CTE that makes one attempt. It gives a row where the budget still had room, and none where it had not; a
 * refused attempt does not lengthen the wait.
 * @param subject SQL of whom the budget belongs to, as text
 * @param counts SQL condition: whether the attempt uses the budget up, or only needs it to have room
 * @param from a FROM clause; without a row there the attempt is not made
 */
export function attempt(kind: Budget, subject: string, { counts = 'true', from = '' } = {}): string {
  const { limit, seconds } = BUDGETS[kind]
  // The start of the window is the first element of what is inserted, and too old to count itself: a sharded Postgres refuses
  // functions of the time in ON CONFLICT.
  const since = `now() - interval '${seconds} seconds'`
  const recent = 'from unnest(known.made_at) as made where made > excluded.made_at[1]'
  return `insert into attempts as known (kind, subject, made_at, expires_at)
    select '${kind}', ${subject}, case when ${counts} then array[${since}, now()] else array[${since}] end,
      now() + interval '${seconds} seconds' ${from}
    on conflict (kind, subject) do update
      set made_at = array(select made ${recent}) || excluded.made_at[2:], expires_at = excluded.expires_at
      where (select count(*) ${recent}) < ${limit}
    returning 1`
}

const oldest = statement<{ kind: Budget; subject: string; seconds: number }, { wait: number }>(
  'attempts_wait',
  `select ceil(extract(epoch from min(made) + make_interval(secs => $seconds::int) - now()))::int as wait
  from attempts, unnest(made_at) as made
  where kind = $kind and subject = $subject and made > now() - make_interval(secs => $seconds::int)`,
)

const TOO_MANY: Partial<Record<Budget, typeof tooManyWrongCodes>> = {
  device_start: tooManyLogins,
  refresh: tooManyRefreshes,
  client_document: tooManyClientDocuments,
}

/** The error for a budget that is used up: 429 too_many_attempts, with the time until its oldest attempt expires. */
export async function tooManyAttempts(db: Db, kind: Budget, subject: string) {
  const [row] = await oldest(db, { kind, subject, seconds: BUDGETS[kind].seconds })
  const wait = Math.max(1, row?.wait ?? 1)
  const tooMany = TOO_MANY[kind] ?? tooManyWrongCodes
  return tooMany(wait, BUDGETS[kind].limit)
}
