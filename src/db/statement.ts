import { CompiledQuery } from 'kysely'
import type { Db } from './tables.ts'

/** A statement with its values. */
export interface Query {
  /** The name of the prepared statement; absent: sent as text */
  name?: string
  text: string
  values?: unknown[]
}

const names = new Map<string, string>()

/** The name of the prepared statement with this SQL text; undefined for text not declared by `statement`. */
export const nameOf = (text: string): string | undefined => names.get(text)

/**
 * Declares a statement. It is sent as a named prepared statement, so that Postgres parses and plans it once per connection, which saves
 * half of the cost of a short statement (measured).
 * @param name its name on the server, unique in the service; null: unnamed, so Postgres plans it for the values of each call
 * @param text SQL with named parameters (`$account_id`), each of which may occur more than once
 * @returns a function that runs it on a database or a transaction and resolves to its rows. `query` builds the
 *   message for `Session.send`; `sql` and `order` are for tests and benchmarks
 */
export function statement<Params extends Record<string, unknown>, Row>(name: string | null, text: string) {
  const order: (keyof Params & string)[] = []
  const sql = text.replace(/\$([a-z_]+)/g, (_, param) => {
    const index = order.indexOf(param)
    return `$${index < 0 ? order.push(param) : index + 1}`
  })
  if (name !== null) names.set(sql, name)
  const query = (params: Params): Query => ({
    ...(name !== null && { name }),
    text: sql,
    values: order.map((param) => params[param]),
  })
  async function run(db: Db, params: Params): Promise<Row[]> {
    const { values } = query(params)
    const { rows } = await db.executeQuery<Row>(CompiledQuery.raw(sql, values))
    return rows
  }
  return Object.assign(run, { query, sql, order })
}

/**
 * SQL of an aggregate as a bigint: 0 without rows, and no further from it than a JavaScript number is exact, which a sum over many accounts
 * may exceed.
 */
export const safeSum = (sum: string): string =>
  `greatest(least(coalesce(${sum}, 0), ${Number.MAX_SAFE_INTEGER}), ${Number.MIN_SAFE_INTEGER})::bigint`

/** SQL of a time in the format of answers, ISO 8601 in UTC with milliseconds. Text avoids creating a Date for each row. */
export const isoTime = (column: string): string =>
  `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
