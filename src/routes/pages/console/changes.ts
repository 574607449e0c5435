import { createHash } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { v7 as uuidv7 } from 'uuid'
import { Slug, Uuid } from '../../../schemas/primitives.ts'
import { amountText } from '../words.ts'
import { consolePage, type Frame, type Section } from './frame.ts'
import { goOn } from './notice.ts'

/**
 * How the console changes something: a form leads to a page that says what will happen, in numbers, and only that page's button does
 * it. Where something has changed since the page was shown, nothing is done, so that sending the form twice does nothing twice.
 */

/** The fields of a form; a field that is sent several times is a list. */
export class Fields {
  readonly all: Record<string, string | string[]>

  constructor(body: unknown) {
    this.all = Object.fromEntries(Object.entries((body ?? {}) as object).filter(([name]) => !OWN.includes(name)))
  }

  /** The trimmed text of a field; '' without it */
  text(name: string): string {
    const value = this.all[name]
    return (Array.isArray(value) ? (value[0] ?? '') : (value ?? '')).trim()
  }

  /** The values of boxes that are ticked */
  ticked(name: string): string[] {
    return [this.all[name] ?? []].flat()
  }

  /** The lines of a text, each once, without empty ones */
  lines(name: string): string[] {
    const lines = this.text(name).split(/\r?\n/)
    return [...new Set(lines.map((line) => line.trim()).filter(Boolean))]
  }

  /** A whole number as people write it, grouped or not; NaN for anything else, which the API refuses by the field's name */
  number(name: string): number {
    const written = this.text(name).replace('−', '-')
    // A comma that does not group thousands may be a decimal one.
    if (!/^[+-]?([0-9]+|[0-9]{1,3}([,\s][0-9]{3})+)$/.test(written)) return Number.NaN
    return Number(written.replaceAll(/[,\s]/g, ''))
  }
}

/** Fields of the confirming page itself. */
const OWN = ['confirmed', 'reason', 'reference']

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
  /** It cannot be undone, or stops something */
  grave?: boolean
  /** Whether a reason is asked for; it is kept in the audit log */
  reason?: 'required' | 'optional'
  /** The person reads the reason beside the entry */
  told?: true
  /** What the effects were computed from: where it has changed when the button is pressed, nothing is done */
  state?: unknown
  act(how: { reason: string | undefined; reference: string }): Promise<Outcome>
}

type Outcome =
  | { notice: string; to?: string }
  /** Shown once, by the answer to the form */
  | { title: string; label: string; secret: string; text: string }

export interface Change {
  /** Its parameters are ids, but for `:slug` */
  path: string
  section: Section
  help?: Frame['help']
  /** @throws {ApiError} where it cannot be done */
  plan(asked: Asked): Promise<Plan>
}

/** Adds the route of a change. */
export function addChange(app: FastifyInstance, { path, section, help, plan: planOf }: Change): void {
  app.post(path, { schema: { hide: true, params: paramsOf(path) } }, async (request, reply) => {
    const fields = new Fields(request.body)
    const params = request.params as Record<string, string>
    const plan = await planOf({ request, params, fields })
    const { confirmed, reason: given = '', reference = `console:${uuidv7()}` } = (request.body ?? {}) as Own
    const seal = sealOf(plan.state)
    const reason = String(given).trim()
    const show = (fault?: string, stale = false) =>
      confirmPage(request, reply, { ...{ section, help, plan, fields, seal, reference, reason, fault, stale } })
    if (confirmed === undefined) return show()
    if (confirmed !== seal) return show(STALE, true)
    if (plan.reason === 'required' && !reason) return show('Say why: it is kept with the change.')
    if (reason.length > MAX_REASON) return show(`The reason must have at most ${amountText(MAX_REASON)} characters.`)
    const outcome = await plan.act({ reason: reason || undefined, reference })
    if ('secret' in outcome) {
      return consolePage(request, reply, 'secret', { ...outcome, section, back: plan.back })
    }
    return goOn(request, reply, outcome.to ?? plan.back, outcome.notice)
  })
}

const paramsOf = (path: string) =>
  Type.Object(
    Object.fromEntries([...path.matchAll(/:(\w+)/g)].map(([, name = '']) => [name, name === 'slug' ? Slug : Uuid])),
  )

/** As in the API. */
const MAX_REASON = 1_000

/** Without a button: where the answer to a form was lost, it must not invite to do the same once more. */
const STALE =
  'This has changed since the page was shown, perhaps because the form was sent twice. Nothing more was done. Look at what is there now.'

interface Own {
  confirmed?: string
  reason?: string
  reference?: string
}

interface Shown extends Pick<Change, 'section' | 'help'> {
  plan: Plan
  fields: Fields
  seal: string
  reference: string
  reason: string
  fault: string | undefined
  stale: boolean
}

function confirmPage(request: FastifyRequest, reply: FastifyReply, shown: Shown) {
  const { section, help, plan, fields, seal, reference, reason, fault, stale } = shown
  const hidden = Object.entries(fields.all).flatMap(([name, value]) => [value].flat().map((one) => [name, one]))
  return consolePage(request, fault === undefined ? reply : reply.code(409), 'confirm', {
    ...{ title: plan.title, section, ...(help && { help }) },
    ...{ plan, hidden, seal, reference, reason, fault, stale },
  })
}

const sealOf = (state: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify(state ?? null))
    .digest('base64url')
    .slice(0, 22)
