import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { v7 as uuidv7 } from 'uuid'
import { consolePage, type Frame, type Section } from './frame.ts'
import { goOn } from './notice.ts'

/**
 * How the console changes something: a form leads to a page that says what will happen, in numbers, and only that page's button does
 * it. What has changed since the page was shown is shown again instead, so that sending the form twice does nothing twice.
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
    const written = this.text(name).replaceAll(/[,\s]/g, '').replace('−', '-')
    return /^[+-]?[0-9]+$/.test(written) ? Number(written) : Number.NaN
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
  /** Whether a reason is asked for; it is kept in the audit log, and with what moves credits in the person's history */
  reason?: 'required' | 'optional'
  /** What the effects were computed from: where it has changed when the button is pressed, the page is shown again */
  state?: unknown
  act(how: { reason: string | undefined; reference: string }): Promise<Outcome>
}

type Outcome =
  | { notice: string; to?: string }
  /** Shown once, by the answer to the form */
  | { title: string; label: string; secret: string; text: string }

export interface Change {
  path: string
  section: Section
  help?: Frame['help']
  /** @throws {ApiError} where it cannot be done */
  plan(asked: Asked): Promise<Plan>
}

/** Adds the route of a change. */
export function addChange(app: FastifyInstance, { path, section, help, plan: planOf }: Change): void {
  app.post(path, { schema: { hide: true } }, async (request, reply) => {
    const fields = new Fields(request.body)
    const params = request.params as Record<string, string>
    const plan = await planOf({ request, params, fields })
    const { confirmed, reason: given = '', reference = `console:${uuidv7()}` } = (request.body ?? {}) as Own
    const seal = sealOf(plan.state)
    const reason = String(given).trim()
    const show = (fault?: string) =>
      confirmPage(request, reply, { ...{ section, help, plan, fields, seal, reference, reason, fault } })
    if (confirmed === undefined) return show()
    if (confirmed !== seal) return show('This has changed since the page was shown. Nothing was done. Look again.')
    if (plan.reason === 'required' && !reason) return show('Say why: it is kept with the change.')
    const outcome = await plan.act({ reason: reason || undefined, reference })
    if ('secret' in outcome) {
      return consolePage(request, reply, 'secret', { ...outcome, section, back: plan.back })
    }
    return goOn(request, reply, outcome.to ?? plan.back, outcome.notice)
  })
}

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
}

function confirmPage(request: FastifyRequest, reply: FastifyReply, shown: Shown) {
  const { section, help, plan, fields, seal, reference, reason, fault } = shown
  const hidden = Object.entries(fields.all).flatMap(([name, value]) => [value].flat().map((one) => [name, one]))
  return consolePage(request, fault === undefined ? reply : reply.code(409), 'confirm', {
    ...{ title: plan.title, section, ...(help && { help }) },
    ...{ plan, hidden, seal, reference, reason, fault },
  })
}

const sealOf = (state: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify(state ?? null))
    .digest('base64url')
    .slice(0, 22)
