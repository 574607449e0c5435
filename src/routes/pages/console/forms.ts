import { badField } from '../../../http/catalogue.ts'
import { MAX_CREDITS } from '../../../ledger/rules.ts'
import { amountText } from '../words.ts'

/**
 * Forms of the console. A form is described once: the page that it is part of shows it, and so does the page that says what is wrong
 * with what was typed. views/console/form.eta renders it.
 */

interface Choice {
  value: string
  text: string
  /** How the API calls it */
  code?: string
}

export interface Field {
  name: string
  label: string
  /** `lines`: one value a line. `one` and `several`: choices that are all seen. The default is a line of text. */
  kind?: 'lines' | 'select' | 'one' | 'several' | 'box'
  /** What it has; of `several`, the values that are ticked */
  value?: string | string[]
  choices?: readonly Choice[]
  hint?: string
  /** Of the input, such as `maxlength` */
  attributes?: Record<string, string>
}

export interface Form {
  /** Distinguishes the fields of forms on one page */
  id: string
  /** On a page of its own */
  title: string
  action: string
  fields: Field[]
  /** Where its page hangs */
  back: string
  /** What is sent along */
  hidden?: [name: string, value: string][]
}

/** What is wrong, and in which field where it is one. */
export interface Fault {
  status: number
  message: string
  field?: string | undefined
}

const NUMBER = { inputmode: 'numeric', autocomplete: 'off' }

export const numberField = (name: string, label: string, more: Omit<Field, 'name' | 'label'> = {}): Field => ({
  ...{ name, label, ...more },
  attributes: { ...NUMBER, ...more.attributes },
})

export const REQUIRED = { required: '' }

/** The longest name of an app, a pack or a key, as in the API. */
const MAX_NAME = 200

/** Attributes of a field that takes a name. */
export const NAMED = { maxlength: String(MAX_NAME) }

/** The fields of a form; a field that is sent several times is a list. */
export class Fields {
  readonly all: Record<string, string | string[]>

  constructor(body: unknown) {
    this.all = { ...(body as Record<string, string | string[]> | null | undefined) }
  }

  /** The trimmed text of a field; '' without it */
  text(name: string): string {
    const value = this.all[name]
    return (Array.isArray(value) ? (value[0] ?? '') : (value ?? '')).trim()
  }

  /** What the form names something; '' without it. @throws {ApiError} 400 beyond the API's bound */
  name(): string {
    const name = this.text('name')
    if (name.length > MAX_NAME) throw badField('name', `must have at most ${amountText(MAX_NAME)} characters`)
    return name
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

  /** A whole number within bounds. @throws {ApiError} 400 with the bounds */
  whole(name: string, { least, most = MAX_CREDITS }: { least: number; most?: number }): number {
    const value = this.number(name)
    if (value >= least && value <= most) return value
    throw badField(name, `must be a whole number from ${amountText(least)} to ${amountText(most)}`)
  }

  /** A whole number as people write it, grouped or not; NaN for anything else */
  number(name: string): number {
    const written = this.text(name).replace('−', '-')
    // A comma that does not group thousands may be a decimal one.
    if (!/^[+-]?([0-9]+|[0-9]{1,3}([,\s][0-9]{3})+)$/.test(written)) return Number.NaN
    const value = Number(written.replaceAll(/[,\s]/g, ''))
    return Number.isSafeInteger(value) ? value : Number.NaN
  }
}

/** The form with what was typed, and with a fault at its field. */
export function filled(form: Form, fields: Fields, fault: Fault | undefined) {
  return {
    ...form,
    fields: form.fields.map((field) => {
      const typed = field.kind === 'several' ? fields.ticked(field.name) : fields.text(field.name)
      return { ...field, value: typed, ...(fault?.field === field.name && { fault: fault.message }) }
    }),
  }
}

/** A fault in the words of its form: the API names fields, people know labels. */
export function inLabels(form: Form | undefined, { status, message, field }: Fault): Fault {
  const named = form?.fields.find(({ name }) => name === field)
  if (!named) return { status, message: sentence(message) }
  const rest = message.startsWith(`${field} `) ? message.slice(named.name.length) : `: ${message}`
  return { status, field, message: sentence(named.label + rest) }
}

const sentence = (text: string) => (/[.?!]$/.test(text) ? text : `${text}.`)
