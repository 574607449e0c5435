import { CompiledQuery } from 'kysely'
import type { Db } from './tables.ts'

const names = new Map<string, string>()

/** The name of the prepared statement with this SQL text; undefined for text not declared by `statement`. */
export const nameOf = (text: string): string | undefined => names.get(text)

/**
 * Declares a named prepared statement. Postgres parses and plans it once per connection, which halves the measured cost
 * of a short statement.
 * @param name name on the server, unique within the service
 * @param text SQL with named parameters (`$account_id`), which may repeat
 * @returns a function that runs it on a database or transaction and resolves to its rows. Its properties `sql` and `order`
 *   (the parameter names by position) let tests and benchmarks EXPLAIN it
 */
export function statement<Params extends Record<string, unknown>, Row>(name: string, text: string) {
  const order: (keyof Params & string)[] = []
  const sql = text.replace(/\$([a-z_]+)/g, (_, param) => {
    const index = order.indexOf(param)
    return `$${index < 0 ? order.push(param) : index + 1}`
  })
  names.set(sql, name)
  async function run(db: Db, params: Params): Promise<Row[]> {
    const values = order.map((param) => params[param])
    const { rows } = await db.executeQuery<Row>(CompiledQuery.raw(sql, values))
    return rows
  }
  return Object.assign(run, { sql, order })
}
