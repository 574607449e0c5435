import type { EntryKind, JobStatus } from '../../db/tables.ts'

/** How pages say what the database holds. Times are UTC: the server does not know where the reader is. */

const dateTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' })
const number = new Intl.NumberFormat('en-US', { signDisplay: 'negative' })
const signed = new Intl.NumberFormat('en-US', { signDisplay: 'exceptZero' })

/** `21 Nov 2026, 12:00 UTC` */
export const timeText = (time: Date): string => `${dateTime.format(time)} UTC`
/** `21 Nov` */
export const dayText = (time: Date): string => day.format(time)
/** `1,234` and `−5`, with a minus sign and not a dash */
export const amountText = (amount: number): string => number.format(amount).replace('-', '−')
/** `+1,234` and `−5` */
export const movementText = (amount: number): string => signed.format(amount).replace('-', '−')
/** `1 credit`, `5 credits` */
export const creditsText = (amount: number): string => `${amountText(amount)} ${amount === 1 ? 'credit' : 'credits'}`

/** `just now`, `3 minutes ago` */
export function agoText(time: Date, now = new Date()): string {
  const minutes = Math.floor((now.getTime() - time.getTime()) / 60_000)
  if (minutes < 1) return 'just now'
  return `${minutes} ${minutes === 1 ? 'minute' : 'minutes'} ago`
}

export const ENTRY_WORDS: Record<EntryKind, string> = {
  starter_grant: 'Starter credits',
  admin_grant: 'Credits given',
  topup: 'Credits bought',
  adjustment: 'Adjustment',
  job_reserve: 'Held for a job',
  job_refund: 'Not used by a job',
  job_overage: 'A job cost more',
  job_release: 'Hold released',
  job_expire: 'Hold expired',
  job_late_charge: 'Charged late',
}

/** The state of a job as a word and as the name of its style. */
export function jobState(job: { status: JobStatus; failure_reason: string | null }) {
  if (job.status === 'started') return { word: 'Running', style: 'running' }
  if (job.status === 'completed') return { word: 'Completed', style: 'completed' }
  return { word: job.failure_reason === 'expired' ? 'Expired' : 'Failed', style: 'failed' }
}

/** A text of an app's, of at most so many characters; undefined where it is none. */
export function shortText(text: unknown, characters: number): string | undefined {
  if (typeof text !== 'string' || !text.trim()) return undefined
  const all = [...text.trim()]
  return all.length > characters ? `${all.slice(0, characters - 1).join('')}…` : all.join('')
}

/** An app's link that a browser may follow from our page: http or https, with its host to show. */
export function webLink(url: unknown): { href: string; host: string } | undefined {
  const parsed = typeof url === 'string' ? URL.parse(url) : null
  if (!parsed || !/^https?:$/.test(parsed.protocol)) return undefined
  return { href: parsed.href, host: parsed.host }
}
