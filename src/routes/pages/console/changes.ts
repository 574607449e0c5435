import { createHash } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Db } from '../../../db/tables.ts'
import { ApiError } from '../../../http/errors.ts'
import { type Actor, actorOf, isCarriedOut } from '../../../operator/actions.ts'
import { Slug, Uuid } from '../../../schemas/primitives.ts'
import { amountText } from '../words.ts'
import { type About, type Draft, draftOf, openDraft, sealDraft } from './drafts.ts'
import { type Fault, Fields, type Form, filled, inLabels } from './forms.ts'
import { consolePage, type Frame, type Section } from './frame.ts'
import { goOn } from './notice.ts'

/**
 * How the console changes something. A form leads to a page that says what will happen, in numbers, and only that page's button does
 * it. A form that is refused is shown again with what was typed. Where something has changed since the form was sent, nothing is done.
 * The line of the audit log names the form, and is committed with the change: a form that is sent twice is carried out once.
 */

export interface Asked {
  request: FastifyRequest
  params: Record<string, string>
  fields: Fields
}

/** What is about to happen. */
export interface Plan {
  title: string
  /** One sentence each, with the numbers */
  effects: string[]
  /** The words on the button */
  button: string
  back: string
  /** Where it leads once it is done; absent: `back` */
  next?: string
  /** It cannot be undone, or stops something */
  grave?: boolean
  /** Whether a reason is asked for; it is kept in the audit log */
  reason?: 'required' | 'optional'
  /** Who else reads the reason, as a sentence; absent: nobody */
  told?: string
  /** What the effects were computed from: where it has changed when the button is pressed, nothing is done */
  state?: unknown
  /** Balances that the effects name: where they have changed when the button is pressed, the page is shown again with the new ones */
  numbers?: unknown
  /** It shows a secret: what to do where that was lost, as a sentence */
  lost?: string
  /** Its change must be recorded under this actor. */
  act(how: { actor: Actor; reason: string | undefined; reference: string }): Promise<Outcome>
}

type Outcome =
  | { notice: string }
  /** Shown once, by the answer to the form */
  | { title: string; label: string; secret: string; text: string }

export interface Change {
  /** Its parameters are ids, but for `:slug` */
  path: string
  section: Section
  help?: Frame['help']
  /** The form that asks for it; absent or undefined: there is none, or no more. @throws {ApiError} 404 */
  form?(asked: Asked): Form | undefined | Promise<Form | undefined>
  /** @throws {ApiError} where it cannot be done */
  plan(asked: Asked): Promise<Plan>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** The changes of the console by their path */
    consoleChanges: Map<string, Change>
  }
}

/** Adds what the form of a change is sent to. */
export function addChange(app: FastifyInstance, change: Change): void {
  app.consoleChanges.set(change.path, change)
  app.post(change.path, { schema: { hide: true, params: paramsOf(change.path) } }, async (request, reply) => {
    const draft = draftOf(request, change.path, request.body)
    const plan = await planOf(request, change, draft)
    return goToDraft(
      request,
      reply,
      'effects' in plan ? { ...draft, ...sealsOf(plan), about: aboutOf(plan) } : { ...draft, fault: plan },
    )
  })
}

const paramsOf = (path: string) =>
  Type.Object(
    Object.fromEntries([...path.matchAll(/:(\w+)/g)].map(([, name = '']) => [name, name === 'slug' ? Slug : Uuid])),
  )

const aboutOf = ({ title, next, back, lost }: Plan): About => ({ title, next: next ?? back, lost })

const PATH = '/console/change'
/** The longest draft that stands in an address; beyond it the page answers the form. Proxies take 8 KiB, the Referer included. */
const LONGEST = 4_000

/** The page that asks, and the way from it. */
export function addConfirmation(app: FastifyInstance): void {
  /** What is being done now, by draft */
  const running = new Map<string, Promise<void>>()

  app.get(PATH, { schema: { hide: true } }, async (request, reply) => {
    const draft = openDraft(request, (request.query as { draft?: unknown }).draft)
    return draft ? showDraft(request, reply, draft) : expired(request, reply)
  })

  app.post(PATH, { schema: { hide: true } }, async (request, reply) => {
    const body = (request.body ?? {}) as { draft?: unknown; reason?: unknown }
    const sent = openDraft(request, body.draft)
    const change = sent && app.consoleChanges.get(sent.path)
    if (!sent || !change) return expired(request, reply)
    // Of a double click, the second request answers what has become of the first.
    await running.get(sent.id)
    const { promise, resolve } = Promise.withResolvers<void>()
    running.set(sent.id, promise)
    return confirm(request, reply, change, { ...sent, reason: String(body.reason ?? '').trim() }).finally(() => {
      running.delete(sent.id)
      resolve()
    })
  })

  async function confirm(request: FastifyRequest, reply: FastifyReply, change: Change, sent: Draft) {
    const { fault: _, ...draft }: Draft = sent
    if (await isDone(app.db, draft)) return goToDraft(request, reply, draft)
    const plan = await planOf(request, change, draft)
    if (!('effects' in plan)) return goToDraft(request, reply, { ...draft, fault: plan })
    // The page says what has become of it.
    const { seal, numbers } = sealsOf(plan)
    if (draft.seal !== seal || draft.numbers !== numbers) return goToDraft(request, reply, draft)
    const fault = reasonFault(plan, draft)
    if (fault) return goToDraft(request, reply, { ...draft, fault })
    const actor = { ...actorOf(request, 'console'), draft_id: draft.id }
    const how = { actor, reason: draft.reason || undefined, reference: `console:${draft.id}` }
    const outcome = await refusable(() => plan.act(how)).catch(async (error: unknown) => {
      // Another instance has carried it out meanwhile.
      if (await isDone(app.db, draft)) return undefined
      throw error
    })
    if (!outcome) return goToDraft(request, reply, draft)
    if ('status' in outcome) return goToDraft(request, reply, { ...draft, fault: outcome })
    if ('secret' in outcome) {
      const { section } = change
      return consolePage(request, reply, 'secret', { ...outcome, section, back: plan.back, lost: plan.lost })
    }
    return goOn(request, reply, plan.next ?? plan.back, outcome.notice)
  }
}

const isDone = (db: Db, { id, by, path, params }: Draft): Promise<boolean> =>
  isCarriedOut(db, path.startsWith('/console/accounts/') ? [by, params.id ?? by] : [by], id)

/** As in the API. */
const MAX_REASON = 1_000

function reasonFault(plan: Plan, { reason }: Draft): Fault | undefined {
  const wrong = (message: string) => ({ status: 400, field: 'reason', message })
  if (plan.reason === 'required' && !reason) return wrong('Reason is missing: it is kept with the change.')
  if (reason.length > MAX_REASON) return wrong(`Reason must have at most ${amountText(MAX_REASON)} characters.`)
  return undefined
}

async function refusable<Result>(ask: () => Promise<Result>): Promise<Result | Fault> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof ApiError) || error.statusCode >= 500) throw error
    const { statusCode: status, message, details } = error
    return { status, message, ...(typeof details.field === 'string' && { field: details.field }) }
  }
}

const askedBy = (request: FastifyRequest, { params, fields }: Draft): Asked => ({
  ...{ request, params, fields: new Fields(fields) },
})

const planOf = (request: FastifyRequest, change: Change, draft: Draft): Promise<Plan | Fault> =>
  refusable(() => change.plan(askedBy(request, draft)))

function goToDraft(request: FastifyRequest, reply: FastifyReply, draft: Draft) {
  const sealed = sealDraft(request, draft)
  if (sealed.length > LONGEST) return showDraft(request, reply, draft)
  return reply.header('cache-control', 'no-store').redirect(`${PATH}?draft=${sealed}`, 303)
}

async function showDraft(request: FastifyRequest, reply: FastifyReply, draft: Draft) {
  const change = request.server.consoleChanges.get(draft.path)
  if (!change) return expired(request, reply)
  const { section, help } = change
  const frame = { section, ...(help && { help }) }
  const stale = ({ title, next, lost }: About, message: string) =>
    consolePage(request, reply.code(409), 'stale', { ...frame, title, next, lost, message })
  if (await isDone(request.server.db, draft))
    return stale(draft.about ?? { title: 'Done already', next: '/console' }, DONE)
  const isReason = draft.fault?.field === 'reason'
  const plan = draft.fault && !isReason ? draft.fault : await planOf(request, change, draft)
  if (!('effects' in plan)) return refused(request, reply, change, draft, plan)
  const seals = sealsOf(plan)
  if (draft.seal !== seals.seal) return stale(aboutOf(plan), STALE)
  const { fault, reason } = draft
  const isChanged = draft.numbers !== seals.numbers
  return consolePage(request, fault || isChanged ? reply.code(fault?.status ?? 409) : reply, 'confirm', {
    ...{ ...frame, title: plan.title, plan, reason, fault: fault?.message, action: PATH },
    changed: isChanged ? CHANGED : undefined,
    draft: sealDraft(request, { ...draft, ...seals }),
  })
}

const CHANGED =
  'The numbers have changed since this page was shown; these are the new ones. Nothing was done yet: press the button if you still want it.'

/** Without a button: where the answer to a form was lost, it must not invite to do the same once more. */
const STALE = 'This has changed since the form was sent. Nothing was done. Look at what is there now.'

const DONE = 'This has been done already, by this very form. Nothing more was done.'

/** Shows the form again; a change without one says why it cannot be done. */
async function refused(request: FastifyRequest, reply: FastifyReply, change: Change, draft: Draft, given: Fault) {
  const { section, help } = change
  const frame = { section, ...(help && { help }) }
  const asked = askedBy(request, draft)
  const isLost = given.status === 404
  const form = isLost ? undefined : await change.form?.(asked)
  const fault = inLabels(form, given)
  reply.code(fault.status)
  if (!form) {
    const title = isLost ? 'Not found' : 'Nothing was changed'
    return consolePage(request, reply, 'fault', { ...frame, title, message: fault.message, request_id: request.id })
  }
  const hidden: [string, string][] = [
    ...(form.hidden ?? []),
    ...(draft.reason ? [['reason', draft.reason] as [string, string]] : []),
  ]
  return consolePage(request, reply, 'refused', {
    ...{ ...frame, title: form.title, form: { ...filled(form, asked.fields, fault), hidden } },
    fault: fault.message,
  })
}

function expired(request: FastifyRequest, reply: FastifyReply) {
  return consolePage(request, reply.code(410), 'fault', {
    title: 'This form has expired',
    message: 'Nothing was changed. Open the page of what you want to change, and fill in its form again.',
    request_id: request.id,
  })
}

const sealsOf = ({ state, numbers }: Plan) => ({ seal: sealOf(state), numbers: sealOf(numbers) })

const sealOf = (state: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify(state ?? null))
    .digest('base64url')
    .slice(0, 22)
