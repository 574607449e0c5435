import type { components } from '../../../client/src/api-types.d.ts'
import { usage } from '../failure.ts'
import type { Focus } from '../focus.ts'
import {
  type Column,
  creditsText,
  day,
  line,
  moment,
  print,
  printFields,
  printJson,
  printTable,
  remark,
} from '../output.ts'
import { isUuid } from './arguments.ts'
import { ENTRY_COLUMNS } from './wallet.ts'

/** The commands for administrators about accounts and jobs. */

type Account = components['schemas']['AdminAccount']
type Job = components['schemas']['AdminJob']
type Action = components['schemas']['AdminAction']

export interface Page {
  limit?: number
  cursor?: string
}

/** The id of an account. @param given its id, or the Clerk id of its owner */
export async function accountId(focus: Focus, given: string): Promise<string> {
  if (isUuid(given)) return given
  const answer = await focus.ask((api) => api.GET('/api/admin/accounts', { params: { query: { clerk_id: given } } }))
  return answer.account?.id ?? given
}

/** Prints a page as a table, and the command for the next page. @param words the command's words, with arguments and filters */
export async function printPage<Row>(
  focus: Focus,
  { columns, rows, none }: { columns: Column<Row>[]; rows: Row[]; none: string },
  next_cursor: string | null,
  words: string[],
): Promise<void> {
  if (rows.length) await printTable(columns, rows)
  else remark(line`${none}`)
  if (next_cursor) remark(line`More: ${focus.hint('admin', ...words, '--cursor', next_cursor)}`)
}

/** Options as words of a command line. */
export const wordsOf = (options: Record<string, string | number | boolean | undefined>): string[] =>
  Object.entries(options).flatMap(([name, value]) =>
    value === undefined || value === false ? [] : value === true ? [`--${name}`] : [`--${name}`, `${value}`],
  )

interface AccountsOptions extends Page {
  search?: string
  negative?: boolean
  closed?: boolean
  open?: boolean
  sort?: 'newest' | 'oldest'
}

export async function accounts(focus: Focus, options: AccountsOptions): Promise<void> {
  const { search, negative, closed, open, sort, limit, cursor } = options
  const query = {
    ...(search !== undefined && { q: search }),
    ...(negative && { negative }),
    ...((closed || open) && { closed: closed === true }),
    ...(sort && { sort }),
    ...(limit !== undefined && { limit }),
    ...(cursor !== undefined && { cursor }),
  }
  const answer = await focus.ask((api) => api.GET('/api/admin/accounts', { params: { query } }))
  if (focus.json) return printJson(answer)
  const columns: Column<Account>[] = [
    { title: 'account', value: ({ id }) => id },
    { title: 'clerk id', value: ({ clerk_id }) => clerk_id, shrinks: true },
    { title: 'credits', value: ({ credits }) => credits },
    { title: 'held', value: ({ held }) => held },
    { title: 'opened', value: ({ created_at }) => day(created_at) },
    { title: 'closed', value: ({ closed_at }) => day(closed_at) },
    ...(search === undefined
      ? []
      : [{ title: 'found by', value: ({ found_by }: Account) => found_by?.replace('_', ' ') }]),
  ]
  const filters = wordsOf({ negative, closed, open, sort, limit })
  const page = { columns, rows: answer.accounts ?? [], none: 'No accounts.' }
  await printPage(focus, page, answer.next_cursor ?? null, ['accounts', ...filters])
}

export async function account(focus: Focus, _: object, given: string): Promise<void> {
  if (!isUuid(given)) {
    const answer = await focus.ask((api) => api.GET('/api/admin/accounts', { params: { query: { clerk_id: given } } }))
    if (focus.json || !answer.account) return printJson(answer)
    return printAccount(answer.account)
  }
  const answer = await focus.ask((api) => api.GET('/api/admin/accounts/{id}', { params: { path: { id: given } } }))
  if (focus.json) return printJson(answer)
  printAccount(answer.account)
}

export function printAccount(account: components['schemas']['Account'] & Partial<Account>): void {
  const { id, clerk_id, plan, credits, held, created_at, closed_at } = account
  printFields({
    ...{ 'Clerk id': clerk_id, Account: id, Plan: plan, Credits: credits, Held: held },
    Opened: created_at && moment(created_at),
    Closed: closed_at ? moment(closed_at) : undefined,
  })
}

export async function entries(focus: Focus, query: Page, given: string): Promise<void> {
  const id = await accountId(focus, given)
  const params = { path: { id }, query }
  const answer = await focus.ask((api) => api.GET('/api/admin/accounts/{id}/entries', { params }))
  if (focus.json) return printJson(answer)
  const words = ['entries', given, ...wordsOf({ limit: query.limit })]
  await printPage(
    focus,
    { columns: ENTRY_COLUMNS, rows: answer.entries, none: 'No entries.' },
    answer.next_cursor,
    words,
  )
}

interface JobsOptions extends Page {
  status?: Job['status']
  overdue?: boolean
  app?: string
  account?: string
}

export async function jobs(focus: Focus, { account, ...options }: JobsOptions): Promise<void> {
  const query = { ...options, ...(account !== undefined && { account: await accountId(focus, account) }) }
  const answer = await focus.ask((api) => api.GET('/api/admin/jobs', { params: { query } }))
  if (focus.json) return printJson(answer)
  const columns: Column<Job>[] = [
    { title: 'job', value: ({ id }) => id },
    { title: 'account', value: ({ account_id }) => account_id, short: ({ account_id }) => account_id.slice(0, 8) },
    { title: 'app', value: ({ app_slug }) => app_slug, shrinks: true },
    { title: 'action', value: ({ action }) => action, shrinks: true },
    { title: 'status', value: ({ status, failure_reason }) => failure_reason ?? status },
    { title: 'cost', value: ({ status, reserved, actual_cost }) => (status === 'started' ? reserved : actual_cost) },
    { title: 'created', value: ({ created_at }) => moment(created_at), short: ({ created_at }) => day(created_at) },
  ]
  const { status, overdue, app, limit } = options
  const words = ['jobs', ...wordsOf({ status, overdue, app, account, limit })]
  await printPage(focus, { columns, rows: answer.jobs, none: 'No jobs.' }, answer.next_cursor, words)
}

export async function job(focus: Focus, _: object, id: string): Promise<void> {
  const answer = await focus.ask((api) => api.GET('/api/admin/jobs/{id}', { params: { path: { id } } }))
  if (focus.json) return printJson(answer)
  printJob(answer.job)
  for (const { seq, amount, reason } of answer.refunds)
    print(line`Entry ${seq} of the account refunded ${creditsText(amount)}: ${reason}`)
}

const printJob = (job: Job): void =>
  printFields({
    ...{ Job: job.id, Account: job.account_id, App: job.app_slug, Action: job.action },
    Status: job.failure_reason ? `${job.status} (${job.failure_reason})` : job.status,
    Reserved: job.reserved,
    Cost: job.status === 'started' ? undefined : job.actual_cost,
    Refunded: job.refunded || undefined,
    Created: moment(job.created_at),
    'Hold expires': job.status === 'started' ? moment(job.expires_at) : undefined,
    Metadata: job.metadata ? JSON.stringify(job.metadata) : undefined,
  })

/** Ends a job. Reads the job first, to find its account. */
export async function end(focus: Focus, options: { reason: string; refund: boolean }, id: string): Promise<void> {
  const { reason, refund } = options
  const found = await focus.ask((api) => api.GET('/api/admin/jobs/{id}', { params: { path: { id } } }))
  const { account_id } = found.job
  const body = { account_id, reason, refund }
  const answer = await focus.ask((api) => api.POST('/api/admin/jobs/{id}/end', { params: { path: { id } }, body }))
  if (focus.json) return printJson(answer)
  printJob({ ...answer.job, account_id })
  remark(line`The account has ${creditsText(answer.account.credits)}, and ${answer.account.held} held.`)
}

export async function tokens(focus: Focus, query: Page, given: string): Promise<void> {
  const id = await accountId(focus, given)
  const params = { path: { id }, query }
  const answer = await focus.ask((api) => api.GET('/api/admin/accounts/{id}/tokens', { params }))
  if (focus.json) return printJson(answer)
  const columns: Column<(typeof answer.tokens)[number]>[] = [
    { title: 'id', value: ({ id }) => id },
    { title: 'name', value: ({ name }) => name, shrinks: true },
    { title: 'ends in', value: ({ last_four }) => last_four },
    { title: 'scopes', value: ({ scopes }) => scopes.join(' ') },
    { title: 'last used', value: ({ last_used_at }) => day(last_used_at) },
    { title: 'expires', value: ({ expires_at }) => day(expires_at) },
  ]
  const words = ['tokens', given, ...wordsOf({ limit: query.limit })]
  await printPage(focus, { columns, rows: answer.tokens, none: 'No valid tokens.' }, answer.next_cursor, words)
}

export async function grants(focus: Focus, _: object, given: string): Promise<void> {
  const id = await accountId(focus, given)
  const answer = await focus.ask((api) => api.GET('/api/admin/accounts/{id}/grants', { params: { path: { id } } }))
  if (focus.json) return printJson(answer)
  const columns: Column<(typeof answer.grants)[number]>[] = [
    { title: 'id', value: ({ id }) => id },
    { title: 'program', value: ({ name, client_id }) => name ?? client_id, shrinks: true },
    { title: 'scopes', value: ({ scopes }) => scopes.join(' ') },
    { title: 'since', value: ({ created_at }) => day(created_at) },
    { title: 'last used', value: ({ last_used_at }) => day(last_used_at) },
  ]
  await printPage(focus, { columns, rows: answer.grants, none: 'No grants.' }, answer.next_cursor, ['grants', given])
}

export async function close(focus: Focus, { reason }: { reason: string }, clerk_id: string): Promise<void> {
  const answer = await focus.ask((api) => api.POST('/api/admin/accounts/close', { body: { clerk_id, reason } }))
  if (focus.json) return printJson(answer)
  printAccount(answer.account)
  remark(line`Closed. This account refuses all further postings.`)
}

/** Erases an account's personal data. @throws {Failure} usage, without --yes */
export async function erase(
  focus: Focus,
  { reason, yes }: { reason: string; yes?: boolean },
  clerk_id: string,
): Promise<void> {
  if (!yes) throw usage('Erasing cannot be undone', 'Add --yes to erase this person.')
  const answer = await focus.ask((api) => api.POST('/api/admin/accounts/erase', { body: { clerk_id, reason } }))
  if (focus.json) return printJson(answer)
  printAccount(answer.account)
  remark(line`Erased. The amounts stay, without the person's data.`)
}

export async function revokeToken(focus: Focus, _: object, given: string, token_id: string): Promise<void> {
  const path = { id: await accountId(focus, given), token_id }
  await focus.ask((api) => api.DELETE('/api/admin/accounts/{id}/tokens/{token_id}', { params: { path } }))
  if (focus.json) return printJson({ revoked: token_id })
  print(line`Revoked.`)
}

export async function revokeGrant(focus: Focus, _: object, given: string, grant_id: string): Promise<void> {
  const path = { id: await accountId(focus, given), grant_id }
  await focus.ask((api) => api.DELETE('/api/admin/accounts/{id}/grants/{grant_id}', { params: { path } }))
  if (focus.json) return printJson({ revoked: grant_id })
  print(line`Revoked.`)
}

interface AuditOptions extends Page {
  account?: string
  administrator?: string
  action?: string
  target?: string
  from?: string
  to?: string
}

export async function audit(focus: Focus, options: AuditOptions): Promise<void> {
  const { account, administrator, ...others } = options
  const query = {
    ...others,
    ...(account !== undefined && { account_id: await accountId(focus, account) }),
    ...(administrator !== undefined && { administrator: await accountId(focus, administrator) }),
  }
  const answer = await focus.ask((api) => api.GET('/api/admin/audit', { params: { query } }))
  if (focus.json) return printJson(answer)
  const columns: Column<Action>[] = [
    { title: 'time', value: ({ created_at }) => moment(created_at), short: ({ created_at }) => day(created_at) },
    { title: 'who', value: ({ administrator }) => administrator.clerk_id ?? administrator.id, shrinks: true },
    { title: 'by', value: ({ via }) => via },
    { title: 'action', value: ({ action }) => action },
    { title: 'target', value: ({ target }) => target, shrinks: true },
    { title: 'before', value: ({ before }) => before && JSON.stringify(before), shrinks: true },
    { title: 'after', value: ({ after }) => after && JSON.stringify(after), shrinks: true },
    { title: 'reason', value: ({ reason }) => reason, shrinks: true },
  ]
  const { action, target, from, to, limit } = options
  const words = ['audit', ...wordsOf({ account, administrator, action, target, from, to, limit })]
  const page = { columns, rows: answer.actions, none: 'No changes.' }
  await printPage(focus, page, answer.next_cursor, words)
}

export async function overview(focus: Focus): Promise<void> {
  const answer = await focus.ask((api) => api.GET('/api/admin/overview'))
  if (focus.json) return printJson(answer)
  const { overview } = answer
  const { webhooks, purchases, last_verify: last } = overview
  printFields({
    Accounts: overview.accounts,
    'Closed accounts': overview.closed_accounts,
    'Credits to spend': overview.credits,
    'Credits owed': overview.owed,
    'On closed accounts': overview.closed_credits,
    Held: overview.held,
    'Below zero': overview.negative_accounts,
    'Overdue holds': overview.overdue_holds,
    'Webhooks waiting': webhooks.waiting,
    'Webhooks dead': webhooks.dead,
    'Endpoints failing': webhooks.failing_endpoints,
    'Endpoints late': webhooks.late_endpoints,
    'Purchases, 30 days': purchases.map((sums) => `${sums.count} (${sums.amount} ${sums.currency})`).join(', ') || 0,
    'Ledger checked': last ? `${moment(last.at)}: ${last.ok ? 'consistent' : 'BROKEN'}` : 'never',
    'Sums of': moment(overview.gathered_at),
  })
  print(line``)
  const columns: Column<(typeof overview.days)[number]>[] = [
    { title: 'day', value: ({ day }) => day },
    { title: 'granted', value: ({ granted }) => granted },
    { title: 'bought', value: ({ bought }) => bought },
    { title: 'refunded', value: ({ refunded }) => refunded },
    { title: 'taken', value: ({ taken }) => taken },
    { title: 'held', value: ({ held }) => held },
    { title: 'spent', value: ({ spent }) => spent },
    { title: 'completed', value: ({ completed }) => completed },
    { title: 'failed', value: ({ failed, expired }) => failed + expired },
    { title: 'purchases', value: ({ purchases }) => purchases },
  ]
  await printTable(columns, overview.days.slice(-7))
}
