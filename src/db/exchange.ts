import type { Connection, FieldDef, Submittable } from 'pg'
import pg from 'pg'
import type { Query } from './statement.ts'
import { safeInteger } from './tables.ts'

/** What a statement has answered. */
export interface Result {
  rows: unknown[]
  /** Such as `INSERT` or `COMMIT`; `ROLLBACK` is the answer to the COMMIT of a transaction that has failed */
  command: string
}

/** How values of a column are read; int8 is a safe integer. */
interface Column {
  name: string
  parse: (text: string) => unknown
}

/** The columns that prepared statements answer with, by name, as far as a connection knows them. */
export type Prepared = Map<string, Column[]>

/** A reader of int8 as a safe integer, and of all else as pg reads it. */
export const typeParser = ((oid: number, format?: 'text') =>
  oid === 20 ? safeInteger : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser

/**
 * One round trip of several statements, to be given to a client's `query`. They go to the server as one packet, with one Sync behind
 * the last: the server answers all of them in one packet, and skips what follows a statement that fails. pg's own pipeline
 * sends a Sync behind each, and Postgres then writes each answer to the network by itself.
 */
export class Exchange implements Submittable {
  readonly #queries: Query[]
  readonly #prepared: Prepared | undefined
  readonly #results: Result[] = []
  readonly #answer = Promise.withResolvers<Result[]>()
  #columns: Column[] = []
  #rows: unknown[] = []
  #fault: unknown

  /** @param prepared of the connection; undefined: statements are not kept by name */
  constructor(queries: Query[], prepared: Prepared | undefined) {
    this.#queries = queries
    this.#prepared = prepared
    this.#columns = this.#known(0) ?? []
  }

  /** Resolves when all have succeeded. @throws what the first of them that failed was refused with, or that the connection broke */
  get answer(): Promise<Result[]> {
    return this.#answer.promise
  }

  #known(place: number): Column[] | undefined {
    return this.#prepared?.get(this.#queries[place]?.name ?? '')
  }

  submit(connection: Connection): void {
    const { stream } = connection
    stream.cork()
    for (const [place, { name, text, values = [] }] of this.#queries.entries()) {
      const statement = this.#prepared && name ? name : ''
      const known = this.#known(place)
      if (!known) {
        // It may be there: what comes behind a failed statement is not noted below.
        if (statement) connection.close({ type: 'S', name: statement }, true)
        connection.parse({ name: statement, text, types: [] }, true)
      }
      connection.bind({ statement, values: values.map(parameter) }, true)
      if (!known) connection.describe({ type: 'P' }, true)
      connection.execute(null, true)
    }
    connection.sync()
    stream.uncork()
  }

  // Called by pg's client, in the order in which the server answers.

  handleRowDescription({ fields }: { fields: FieldDef[] }): void {
    this.#columns = fields.map(({ name, dataTypeID }) => ({ name, parse: typeParser(dataTypeID, 'text') }))
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    try {
      const row: Record<string, unknown> = {}
      for (const [place, { name, parse }] of this.#columns.entries()) {
        const text = fields[place] ?? null
        row[name] = text === null ? null : parse(text)
      }
      this.#rows.push(row)
    } catch (error) {
      this.#fault = error
    }
  }

  handleCommandComplete({ text }: { text: string }): void {
    const { name } = this.#queries[this.#results.length] ?? {}
    if (name) this.#prepared?.set(name, this.#columns)
    this.#results.push({ rows: this.#rows, command: text.split(' ', 1)[0] ?? '' })
    this.#rows = []
    this.#columns = this.#known(this.#results.length) ?? []
  }

  handleError(error: unknown): void {
    this.#answer.reject(error)
  }

  handleReadyForQuery(): void {
    if (this.#fault === undefined) this.#answer.resolve(this.#results)
    else this.#answer.reject(this.#fault)
  }
}

/** A value as Postgres reads it. */
function parameter(value: unknown): string | null {
  switch (typeof value) {
    case 'string':
      return value
    case 'object':
      if (value === null) return null
      if (Array.isArray(value)) return `{${value.map(element)}}`
      return value instanceof Date ? value.toISOString() : JSON.stringify(value)
    case 'undefined':
      return null
    default:
      return String(value)
  }
}

/** An element of an array's text. */
function element(value: unknown): string {
  const text = parameter(value)
  if (text === null) return 'null'
  return typeof value === 'string'
    ? `"${text.includes('"') || text.includes('\\') ? text.replace(/["\\]/g, '\\$&') : text}"`
    : text
}
