import type { FastifyInstance } from 'fastify'
import { accountIdOf, CLERK_USER_ID } from '../accounts/account-id.ts'
import { statement } from '../db/statement.ts'
import { providerUnavailable } from '../http/catalogue.ts'
import { ApiError } from '../http/errors.ts'
import { type AccountRow, readAccounts } from './find-accounts.ts'

/** Finds accounts by any id that an operator may have. Every lookup uses an index. */

/** The most accounts that a search returns. */
const MOST_FOUND = 50

export type FoundBy = 'account_id' | 'clerk_id' | 'email' | 'job_id' | 'token' | 'reference' | 'purchase_id'

type Named = { account_id: string }

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const PERSON = new RegExp(CLERK_USER_ID)

const byJob = statement<{ id: string }, Named>(
  'search_jobs',
  'select account_id from jobs where id = $id::uuid limit 10',
)

const byPurchase = statement<{ id: string }, Named>(
  'search_purchases',
  'select account_id from purchases where id = $id::uuid limit 10',
)

const byLastFour = statement<{ last_four: string }, Named>(
  'search_tokens',
  `select account_id from tokens where last_four = $last_four group by account_id limit ${MOST_FOUND}`,
)

// References of purchases are the provider's name and its payment id. A range of one value with an `order by` keeps the planner on the
// index: for an equality it may expect that many entries match, and scan the table until it has 50.
const OURS = ['', 'stripe:', 'local:']
const byReference = statement<{ reference: string }, Named>(
  'search_references',
  OURS.map(
    (prefix) => `(select account_id from ledger_entries
      where reference between '${prefix}' || $reference::text and '${prefix}' || $reference::text and kind <> 'starter_grant'
      order by reference limit ${MOST_FOUND})`,
  ).join(' union all '),
)

const byPayment = statement<{ id: string }, Named>(
  'search_payments',
  `select account_id from purchases where payment_id = $id
  union all select account_id from purchases where checkout_id = $id limit ${MOST_FOUND}`,
)

// Sessions name who signed in: an e-mail address. The index is on the lower case.
const byName = statement<{ from: string; to: string }, Named>(
  'search_names',
  `select distinct account_id from sessions where name is not null
    and lower(name) ~>=~ $from::text and lower(name) ~<~ $to::text limit ${MOST_FOUND}`,
)

/** The people whose address begins with a text. @param text in lower case */
const beginningWith = (text: string) => ({ from: text, to: `${text}\u{10FFFF}` })

/** The fewest characters of an e-mail address that are searched for. */
const FEWEST = 3

/** Exported for the test that checks their query plans. */
export const SEARCHES = [byJob, byPurchase, byLastFour, byReference, byPayment, byName]

/**
 * Finds accounts by Clerk id, account id, job id, id of a purchase or payment, reference of an entry, the last four characters of a token,
 * e-mail address or its beginning.
 * @param deadline when the identity provider must have answered, in ms since 1970
 * @returns at most 50 accounts, each with how it was found
 * @throws {ApiError} 503 identity_provider_unavailable, for an e-mail address
 */
export async function searchAccounts(
  { db, identity }: Pick<FastifyInstance, 'db' | 'identity'>,
  given: string,
  deadline?: number,
): Promise<(AccountRow & { found_by: FoundBy })[]> {
  const text = given.trim()
  const lookups: [FoundBy, Promise<Named[]>][] = [
    ['reference', byReference(db, { reference: text })],
    ['purchase_id', byPayment(db, { id: text })],
  ]
  if (UUID.test(text)) {
    lookups.push(['account_id', Promise.resolve([{ account_id: text.toLowerCase() }])])
    lookups.push(['job_id', byJob(db, { id: text })], ['purchase_id', byPurchase(db, { id: text })])
  }
  if (PERSON.test(text)) lookups.push(['clerk_id', Promise.resolve([{ account_id: accountIdOf(text) }])])
  if (/^[0-9A-Za-z]{4}$/.test(text)) lookups.push(['token', byLastFour(db, { last_four: text })])
  if (/^\S+@\S+$/.test(text)) lookups.push(['email', peopleBy(identity.peopleByEmail(text, deadline))])
  else if (text.length >= FEWEST && !UUID.test(text) && !PERSON.test(text))
    lookups.push(['email', peopleBy(identity.peopleLike(text, deadline).catch(nobodyWhileDown))])
  if (/^\S+$/.test(text) && text.length >= FEWEST)
    lookups.push(['email', byName(db, beginningWith(text.toLowerCase()))])

  const found = new Map<string, FoundBy>()
  const results = await Promise.all(lookups.map(async ([by, rows]) => [by, await rows] as const))
  for (const [by, rows] of results)
    for (const { account_id } of rows) if (!found.has(account_id)) found.set(account_id, by)
  const accounts = await readAccounts(db, [...found.keys()].slice(0, MOST_FOUND))
  return accounts.map((account) => ({ ...account, found_by: found.get(account.id) as FoundBy }))
}

/** What was found otherwise is worth more than a failure of the identity provider, where the text may be no address at all. */
function nobodyWhileDown(error: unknown): string[] {
  if (error instanceof ApiError && error.code === providerUnavailable.code) return []
  throw error
}

const peopleBy = async (clerkIds: Promise<string[]>): Promise<Named[]> =>
  (await clerkIds).map((clerkId) => ({ account_id: accountIdOf(clerkId) }))
