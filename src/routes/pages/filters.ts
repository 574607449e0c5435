import type { FastifyInstance } from 'fastify'
import { listTokens, MAX_TOKENS } from '../../access/tokens.ts'
import type { EntryKind, JobStatus } from '../../db/tables.ts'
import { badField } from '../../http/catalogue.ts'
import { listGrants } from '../../oauth/grants.ts'
import { EntryKind as EntryKinds } from '../../schemas/account.ts'
import { JobStatus as JobStatuses } from '../../schemas/jobs.ts'
import { Slug, Uuid } from '../../schemas/primitives.ts'
import { ENTRY_WORDS, JOB_WORDS, shortText } from './words.ts'

/** The filters of a person's lists: a form that sends its fields in the address, and what they select. */

const DATE = /^\d{4}-\d\d-\d\d$/

/** What a form of filters sends. A field that is left alone is empty. */
export type FilterFields = Partial<Record<'app' | 'status' | 'kind' | 'token' | 'from' | 'to', string>>

const NAMES = ['app', 'status', 'kind', 'token', 'from', 'to'] as const

/** @throws {ApiError} 400 naming a field with a value that its form does not offer */
export function readFilters(query: FilterFields) {
  const given: FilterFields = {}
  for (const name of NAMES) {
    const value = query[name]?.trim()
    if (value) given[name] = value
  }
  const fits = (name: keyof FilterFields, isRight: (value: string) => boolean, fault: string) => {
    const value = given[name]
    if (value !== undefined && !isRight(value)) throw badField(name, fault)
  }
  fits('app', (value) => new RegExp(Slug.pattern ?? '').test(value), 'is not the name of an app')
  fits('status', (value) => (JobStatuses.enum as string[]).includes(value), 'is no status')
  fits('kind', (value) => (EntryKinds.enum as string[]).includes(value), 'is no kind of entry')
  fits('token', (value) => new RegExp(Uuid.pattern ?? '').test(value), 'is not the id of a token')
  for (const name of ['from', 'to'] as const) {
    fits(name, (value) => DATE.test(value) && !Number.isNaN(Date.parse(value)), 'must be a date such as 2026-11-21')
  }
  const { from, to } = given
  if (from !== undefined && to !== undefined && to < from) throw badField('to', 'must not be before from')
  // A person means the last day as well.
  const end = to === undefined ? undefined : new Date(Date.parse(to) + 86_400_000)
  return {
    filter: {
      ...{ app: given.app, token: given.token },
      ...{ status: given.status as JobStatus | undefined, kind: given.kind as EntryKind | undefined },
      ...{ from: from === undefined ? undefined : new Date(from), to: end },
    },
    /** As they stand in an address */
    query: `${new URLSearchParams(given)}`,
    given,
  }
}

/** What the form offers. @param choices the field that only this list has */
export async function filterForm(
  { db }: FastifyInstance,
  accountId: string,
  { given, action, choices, apps }: { given: FilterFields; action: string; choices: 'status' | 'kind'; apps: string[] },
) {
  const [tokens, grants] = await Promise.all([
    listTokens(db, accountId, { limit: MAX_TOKENS }),
    listGrants(db, accountId),
  ])
  const makers = [
    ...tokens.map(({ id, name, last_four }) => ({
      value: id,
      text: `${shortText(name, 60) ?? 'Unnamed'} …${last_four}`,
    })),
    ...grants.map(({ id, name, client_id }) => ({ value: id, text: shortText(name ?? client_id, 60) ?? client_id })),
  ]
  // One that is revoked by now.
  if (given.token !== undefined && !makers.some(({ value }) => value === given.token)) {
    makers.push({ value: given.token, text: given.token })
  }
  const words: Record<string, string> = choices === 'status' ? JOB_WORDS : ENTRY_WORDS
  return {
    ...{ action, given, apps, makers },
    isSet: Object.keys(given).length > 0,
    choices: {
      name: choices,
      label: choices === 'status' ? 'Status' : 'Kind',
      options: Object.entries(words).map(([value, text]) => ({ value, text })),
    },
  }
}
