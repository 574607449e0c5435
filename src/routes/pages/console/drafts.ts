import type { FastifyRequest } from 'fastify'
import { v7 as uuidv7 } from 'uuid'
import { callerOf } from '../../../access/caller.ts'
import type { Fault } from './forms.ts'

/**
 * What a form asks for, until it is confirmed. It stands in the address of the page that asks, so that Back and reload show that page
 * again. It is encrypted, because the URL of a webhook can carry a secret, and addresses are kept in histories and logs; it names its
 * administrator, so that no link of somebody else asks for anything.
 */
export interface Draft {
  /** Names what it does, so that doing it again does nothing */
  id: string
  by: string
  /** Of the change */
  path: string
  params: Record<string, string>
  fields: Record<string, string | string[]>
  reason: string
  /** Of the state that the change was computed from; absent: it was refused */
  seal?: string
  /** The same of the balances that its page has named */
  numbers?: string
  fault?: Fault
  /** What the page says of it once it is done: what it was about may be gone by then */
  about?: About
  /** When it expires, in ms since 1970 */
  until: number
}

export interface About {
  title: string
  /** Where it leads */
  next: string
  /** What to do where a secret that it showed was lost */
  lost?: string | undefined
}

/** A session at the console lasts no longer, in ms. */
const LIFE_MS = 12 * 3_600_000

/** @param body of the form, which may be one that was refused before, with the reason that was given */
export function draftOf(request: FastifyRequest, path: string, body: unknown): Draft {
  const { reason, ...fields } = (body ?? {}) as Record<string, string | string[]>
  return {
    ...{ id: uuidv7(), by: callerOf(request).id, path, params: request.params as Record<string, string>, fields },
    ...{ reason: String(reason ?? '').trim(), until: Date.now() + LIFE_MS },
  }
}

export const sealDraft = ({ server }: FastifyRequest, draft: Draft): string => server.draftBox.seal(draft)

/** undefined: it is not one of this administrator, or has expired. */
export function openDraft(request: FastifyRequest, sealed: unknown): Draft | undefined {
  const draft = typeof sealed === 'string' ? (request.server.draftBox.open(sealed) as Draft | undefined) : undefined
  return draft && draft.by === callerOf(request).id && draft.until > Date.now() ? draft : undefined
}
