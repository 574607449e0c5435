import type { Connection, FieldDef, Submittable } from 'pg'
import pg from 'pg'
import type { Query } from './statement.ts'
import { safeInteger } from './tables.ts'

/** The result of one statement. */
export interface Result {
  rows: unknown[]
  /** Such as `INSERT` or `COMMIT`; `ROLLBACK` is the answer to the COMMIT of a transaction that has failed */
  command: string
}

/** A column of a result, with the parser of its values. */
interface Column {
  name: string
  parse: (text: string) => unknown
}

/** The prepared statements of a connection: the columns of each one's result, by its name. */
export type Prepared = Map<string, Column[]>

/** pg's parsers of column values, except that int8 becomes a safe integer. */
export const typeParser = ((oid: number, format?: 'text') =>
  oid === 20 ? safeInteger : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser

/**
 * Several statements in one round trip, to be passed to a client's `query`. They are sent as one packet with one Sync message at the end:
 * the server answers in one packet, and skips the statements after a failed one (Postgres documentation, "Extended Query"). pg's own
 * pipeline mode sends a Sync after each statement, for which Postgres writes each answer to the network separately.
 */
export class Exchange implements Submittable {
  readonly #queries: Query[]
  readonly #prepared: Prepared | undefined
  readonly #results: Result[] = []
  readonly #answer = Promise.withResolvers<Result[]>()
  #columns: Column[] = []
  #rows: unknown[] = []
  #fault: unknown

  /** @param prepared the connection's prepared statements; undefined: statements are sent without names */
  constructor(queries: Query[], prepared: Prepared | undefined) {
    this.#queries = queries
    this.#prepared = prepared
    this.#columns = this.#known(0) ?? []
  }

  /** The results of all statements. @throws the error of the first statement that failed, or of the connection */
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
        // A statement of this name may exist on the server: when the exchange in which it was parsed failed, it was not recorded.
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

/** A value in Postgres' text format; null: SQL null. */
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

/** An element of an array in Postgres' text format. */
function element(value: unknown): string {
  const text = parameter(value)
  if (text === null) return 'null'
  return typeof value === 'string'
    ? `"${text.includes('"') || text.includes('\\') ? text.replace(/["\\]/g, '\\$&') : text}"`
    : text
}
