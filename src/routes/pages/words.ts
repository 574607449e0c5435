import type { EntryKind, JobStatus, Scope } from '../../db/tables.ts'
import type { JobRow } from '../../ledger/read.ts'

/** Formats database values for pages. Times are UTC, because the server does not know the reader's time zone. */

const dateTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })
const exact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' })
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' })
const number = new Intl.NumberFormat('en-US', { signDisplay: 'negative' })
const signed = new Intl.NumberFormat('en-US', { signDisplay: 'exceptZero' })

/** `21 Nov 2026, 12:00 UTC` */
export const timeText = (time: Date): string => `${dateTime.format(time)} UTC`
/** `21 Nov 2026, 12:00:05 UTC`; where it breaks, before the time */
export const exactText = (time: Date): string => `${exact.format(time)}\u00a0UTC`
/** `21 Nov` */
export const dayText = (time: Date): string => day.format(time)
/** `1,234` and `−5`, with a minus sign and not a dash */
export const amountText = (amount: number): string => number.format(amount).replace('-', '−')
/** `+1,234` and `−5` */
export const movementText = (amount: number): string => signed.format(amount).replace('-', '−')
/** `1 credit`, `5 credits` */
export const creditsText = (amount: number): string => `${amountText(amount)} ${amount === 1 ? 'credit' : 'credits'}`
/** `1 day`, `90 days` */
export const daysText = (days: number): string => (days === 1 ? '1 day' : `${days} days`)

/** `just now`, `3 minutes ago` */
export function agoText(time: Date, now = new Date()): string {
  const minutes = Math.floor((now.getTime() - time.getTime()) / 60_000)
  if (minutes < 1) return 'just now'
  return `${minutes} ${minutes === 1 ? 'minute' : 'minutes'} ago`
}

/** What a token of a scope can do, to people. */
export const SCOPE_WORDS: Record<Scope, string> = {
  account: 'See who you are, your credits and your jobs, spend credits, and manage your tokens',
  spend: 'Spend your credits, up to the budget that you choose',
  oauth: 'Use the services that you have connected, such as X, on your behalf',
  admin: 'Administer this service for all users: grant credits, change apps, revoke tokens',
}

export const ENTRY_WORDS: Record<EntryKind, string> = {
  starter_grant: 'Starter credits',
  admin_grant: 'Credits granted',
  topup: 'Credits bought',
  adjustment: 'Adjustment',
  job_reserve: 'Held for a job',
  job_refund: 'Unused credits returned',
  job_overage: 'Job cost more than its hold',
  job_release: 'Hold released',
  job_expire: 'Hold expired',
  job_late_charge: 'Charged after the hold expired',
  topup_refund: 'Purchase refunded',
  topup_reinstated: 'Refund taken back',
}

/** The statuses of jobs, in filters: a failed one may also have expired. */
export const JOB_WORDS: Record<JobStatus, string> = {
  started: 'Running',
  completed: 'Completed',
  failed: 'Failed or expired',
}

/** The state of a job: a word for the reader, and the CSS class for it. */
export function jobState(job: { status: JobStatus; failure_reason: string | null }) {
  if (job.status === 'started') return { word: 'Running', style: 'running' }
  if (job.status === 'completed') return { word: 'Completed', style: 'completed' }
  return { word: job.failure_reason === 'expired' ? 'Expired' : 'Failed', style: 'failed' }
}

/** The reasons for which the service itself fails a job; those of apps are shown as they are. */
const FAILURE_WORDS: Record<string, string> = {
  expired: 'the hold ended before the app settled the job',
  ended_by_operator: 'ended by an administrator',
  account_closed: 'ended with its account',
}

/** Why a job failed, in words. Of one that was completed after its hold had expired, that it was late. */
export function failureText(job: { status: JobStatus; failure_reason: string | null }): string | undefined {
  const { status, failure_reason: reason } = job
  if (reason === null) return undefined
  return status === 'completed' ? 'after its hold had expired' : (FAILURE_WORDS[reason] ?? reason)
}

/** What a job is called on pages: the description in its metadata, else its action. */
export const jobTitle = (job: { action: string | null; metadata: Record<string, unknown> | null }): string =>
  shortText(job.metadata?.description, 120) ?? shortText(job.action, 120) ?? 'Untitled job'

/** What a job holds or has cost, and what was given back of that. */
export function jobCost(job: { status: JobStatus; reserved: number; actual_cost: number; refunded: number }): string {
  if (job.status === 'started') return `${creditsText(job.reserved)} held`
  const cost = creditsText(job.actual_cost)
  return job.refunded > 0 ? `${cost}, ${amountText(job.refunded)} of them refunded` : cost
}

/** A text from an app or a device, cut to this many characters; undefined where it is empty or no string. */
export function shortText(text: unknown, characters: number): string | undefined {
  if (typeof text !== 'string' || !text.trim()) return undefined
  const all = [...text.trim()]
  return all.length > characters ? `${all.slice(0, characters - 1).join('')}…` : all.join('')
}

/** A link from an app that may stand on our page: only http and https, with the host to show beside it. */
export function webLink(url: unknown): { href: string; host: string } | undefined {
  const parsed = typeof url === 'string' ? URL.parse(url) : null
  if (!parsed || !/^https?:$/.test(parsed.protocol)) return undefined
  return { href: parsed.href, host: parsed.host }
}

/** A job as a row of a list. */
export const jobLine = (job: JobRow) => ({
  ...{ id: job.id, app_slug: job.app_slug, created_at: job.created_at },
  text: jobTitle(job),
  preview: webLink(job.metadata?.previewUrl),
  state: jobState(job),
  cost: jobCost(job),
  at: timeText(new Date(job.created_at)),
})
