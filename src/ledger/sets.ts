import { statement } from '../db/statement.ts'

/**
 * Statements over sets of rows: a batch is read and written by one statement for each table, with an array for each column.
 *
 * Statements that join arrays with a table have two forms. On a database sharded by account, the condition on the account stands
 * a second time, alone: by it the coordinator finds the shard. A plain Postgres would take it as an index condition,
 * and read every job of the accounts instead of the ones named. Every INSERT returns something, because Citus otherwise
 * hides which constraint refused it.
 */

type Columns = Record<string, string>
export type Arrays = Record<string, unknown[]>

/** How a transaction takes its locks. */
export interface Locking {
  /** Waits for the lock of its one account, and opens that where need be; else accounts that are locked are left out */
  waits: boolean
  /** The database is sharded by account: all accounts are of one shard, and settings are passed on to its node */
  sharded: boolean
}

/** Milliseconds since 1970; float8 keeps the microseconds. */
export const ms = (time: string, name: string) => `date_part('epoch', ${time}) * 1000 as ${name}`
export const time = (value: string) => `to_timestamp(${value} / 1000)`

/**
 * SQL: arrays, one for each column and equally long, as rows. In a select list, `unnest` hands its rows on one by one; as a table it would
 * first store them, which took a twentieth of a posting.
 */
export const rowsOf = (columns: Columns, alias: string) =>
  `(select ${Object.entries(columns).map(([name, type]) => `unnest($${name}::${type}[]) as ${name}`)}) as ${alias}`

/** The parameters of `rowsOf`: its columns as arrays. */
export function arraysOf(columns: Columns, rows: object[]): Arrays {
  const arrays: Arrays = {}
  for (const name in columns) arrays[name] = rows.map((row) => (row as Record<string, unknown>)[name])
  return arrays
}

/** Where a form of a statement speaks of the shard, or of nothing. */
interface Shard {
  /** A condition on the account alone */
  only(column: string, accounts: string): string
  /** Of the rows `new` that are inserted: their account, and a join by which the shard makes them instead of the coordinator */
  account: string
  join: string
}
const PLAIN: Shard = { only: () => '', account: 'new.account_id', join: '' }
const SHARDED: Shard = {
  only: (column, accounts) => `and ${column} = any(${accounts}::uuid[])`,
  account: 'accounts.id',
  join: 'join accounts on accounts.id = new.account_id and accounts.id = any($account_id::uuid[])',
}

/** Declares both forms of a statement. @returns the one for a database that is sharded or not */
export function forms(name: string, text: (shard: Shard) => string) {
  const plain = statement<Arrays, never>(name, text(PLAIN))
  const sharded = statement<Arrays, never>(`${name}_in_shard`, text(SHARDED))
  return (isSharded: boolean) => (isSharded ? sharded : plain)
}
