import type { tokensWithBudgets } from '../../../access/made-tokens.ts'
import { ERASED } from '../../../accounts/erase.ts'
import type { JobStatus } from '../../../db/tables.ts'
import type { EntryRow } from '../../../ledger/selection.ts'
import { type Grant, maySpend } from '../../../oauth/grants.ts'
import type { AccountRow } from '../../../operator/find-accounts.ts'
import { limitText, spentText } from '../budget-form.ts'
import { amountText, ENTRY_WORDS, failureText, jobState, jobTitle, SCOPE_WORDS, shortText } from '../words.ts'
import { type EntryJob, titleOf } from './account-reads.ts'
import { amount, button, type Cell, code, exactTime, id as idCell, movement, state, text, time } from './cells.ts'

/** Rows of accounts and of what belongs to them. */

export const ENTRY_COLUMNS = [
  'When',
  'What',
  { text: 'Credits', number: true },
  { text: 'Balance', number: true },
  'Job',
  'Reference',
]

/** @param jobs of the entries, by id */
export function entryCells(account_id: string, entry: EntryRow, jobs: Map<string, EntryJob>): Cell[] {
  const { created_at, kind, reason, job_id, corrects_job_id, reference } = entry
  const id = job_id ?? corrects_job_id
  const job = jobs.get(id ?? '')
  return [
    exactTime(created_at),
    text(corrects_job_id ? 'Refund of a job' : ENTRY_WORDS[kind], {
      note: (kind === 'job_reserve' && job ? outcomeText(job) : reason) ?? undefined,
    }),
    movement(entry.amount),
    amount(entry.balance_after),
    job
      ? text(jobTitle(job), {
          href: jobHref(account_id, job.id),
          note: `${job.app_slug} · ${shortText(job.action, 60)}`,
        })
      : idCell(id, jobHref(account_id, id)),
    reference && !corrects_job_id ? idCell(reference) : text(null),
  ]
}

/** What became of a hold. */
function outcomeText({ status, reserved, actual_cost, failure_reason, expires_at }: EntryJob): string {
  if (status === 'started') return expires_at < new Date() ? 'overdue: the job has not ended' : 'the job runs'
  if (status === 'completed') return `completed: it cost ${amountText(actual_cost)} of ${amountText(reserved)}`
  const word = failureText({ status, failure_reason }) ?? 'failed'
  return actual_cost > 0 ? `${word}: it cost ${amountText(actual_cost)}` : `${word}: all of it came back`
}

export const JOB_COLUMNS = [
  'Started',
  'Job',
  'State',
  { text: 'Held', number: true },
  { text: 'Cost', number: true },
  'Id',
]

export interface ListedJob {
  id: string
  app_slug: string
  action: string
  status: JobStatus
  reserved: number
  actual_cost: number
  refunded: number
  failure_reason: string | null
  metadata?: Record<string, unknown> | null
  created_at: string | Date
  expires_at: string | Date
}

export function jobCells(account_id: string, job: ListedJob): Cell[] {
  const { id, app_slug, action, metadata = null, status, reserved, actual_cost, refunded, failure_reason } = job
  const runs = status === 'started'
  const overdue = runs && new Date(job.expires_at) < new Date()
  return [
    time(job.created_at),
    text(jobTitle({ action, metadata }), {
      href: jobHref(account_id, id),
      note: `${app_slug} · ${shortText(action, 60)}`,
    }),
    {
      ...state(overdue ? { word: 'Overdue', style: 'failed' } : jobState({ status, failure_reason })),
      note: refunded > 0 ? `${amountText(refunded)} refunded` : failureText({ status, failure_reason }),
    },
    runs ? amount(reserved) : text('–', { kind: 'number' }),
    runs ? text('–', { kind: 'number' }) : amount(actual_cost),
    idCell(id, jobHref(account_id, id)),
  ]
}

export const jobHref = (account_id: string, id: string | null): string | undefined =>
  id ? `/console/accounts/${account_id}/jobs/${id}` : undefined

/** What stands where there is nothing. */
export const NONE = {
  entries: 'No entry yet: the balance has not changed.',
  jobs: 'No job yet.',
  matching: 'None match. Choose fewer filters, or look at the next page.',
  purchases: 'Nothing bought yet.',
  apps: 'No app used yet.',
  tokens: 'No device or token has access.',
  grants: 'No app has access on its own.',
  actions: 'No administrator has changed anything here.',
}

/** The person whose account it is, as every page calls them. @param titles of accounts by id */
export const personCell = (id: string, titles: Map<string, string>): Cell =>
  text(titles.get(id) ?? `${id.slice(0, 8)}…${id.slice(-4)}`, { href: `/console/accounts/${id}` })

export function accountCells(account: AccountRow, name: string | undefined, byClosing = false): Cell[] {
  const { id, clerk_id, credits, held, created_at, closed_at } = account
  const title = titleOf(account, name)
  return [
    text(title, {
      href: `/console/accounts/${id}`,
      note: title === clerk_id || clerk_id === ERASED ? undefined : clerk_id,
    }),
    closed_at
      ? state({ word: 'Closed', style: 'failed' })
      : credits < 0
        ? state({ word: 'Below zero', style: 'failed' })
        : state({ word: 'Open', style: '' }),
    amount(credits),
    amount(held),
    time(byClosing ? closed_at : created_at),
    idCell(id, `/console/accounts/${id}`),
  ]
}

export const TOKEN_COLUMNS = ['Name', 'May', 'Budget', 'Approved', 'Last used', 'Expires', '']

export function tokenCells(account_id: string, token: Awaited<ReturnType<typeof tokensWithBudgets>>[number]): Cell[] {
  const { id, name, last_four, scopes, created_at, last_used_at, last_used_from, expires_at } = token
  return [
    text(shortText(name, 100) ?? 'Unnamed device', { note: `…${last_four}` }),
    { ...code(scopes.join(' ')), ...(scopes.includes('admin') && { note: SCOPE_WORDS.admin }) },
    budgetCell(token, token.apps),
    time(created_at),
    last_used_at
      ? { ...time(last_used_at), note: last_used_from ? `from ${last_used_from}` : undefined }
      : text('never'),
    time(expires_at),
    button('Revoke', `/console/accounts/${account_id}/revoke-token`, `${name} …${last_four}`, 'token', id),
  ]
}

/** What a token or a grant may spend. @param apps null: at all of them */
function budgetCell(of: Pick<Grant, 'budget' | 'period' | 'spent' | 'resets_at'>, apps: string[] | null = null): Cell {
  const notes = [...(of.spent === null ? [] : [spentText(of)]), ...(apps ? [`at ${apps.join(', ')}`] : [])]
  return text(limitText(of) ?? 'no limit', { note: notes.join('; ') || undefined })
}

export const GRANT_COLUMNS = ['Client', 'May', 'Budget', 'Allowed', 'Last used', '']

export function grantCells(account_id: string, grant: Grant): Cell[] {
  const { id, client_id, resource, scopes, created_at, last_used_at } = grant
  const name = shortText(grant.name, 100) ?? client_id
  return [
    text(name, { note: resource ?? undefined }),
    code(scopes.join(' ')),
    maySpend(grant) ? budgetCell(grant) : text(null),
    time(created_at),
    last_used_at ? time(last_used_at) : text('never'),
    button('End access', `/console/accounts/${account_id}/revoke-grant`, `of ${name}`, 'grant', id),
  ]
}
