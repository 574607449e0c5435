import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** Clones the migrated template of this test run; `drop` does not mind who is still connected. */
export async function freshDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const server = process.env.TEST_DATABASE_URL
  const template = process.env.TEST_TEMPLATE_DATABASE
  if (!server || !template) throw new Error('There is no test database here: run tests with `npm test -- <file>`.')

  const name = `${template}_${randomBytes(4).toString('hex')}`
  await clone(server, template, name)
  return {
    url: databaseUrl(server, name),
    drop: () => dropDatabase(server, name),
  }
}

/** Runs one statement on a connection of its own and returns its rows. */
export async function query<Row extends pg.QueryResultRow>(url: string, sql: string, params: unknown[] = []) {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  // A server that goes away says so twice: to the query, and to the connection.
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.query<Row>(sql, params)).rows
  } finally {
    await client.end()
  }
}

/** Makes an empty database, the same on every server; the clones of one run begin with its name. */
export async function createTemplate(server: string): Promise<{ name: string; url: string }> {
  const name = `focus_test_${randomBytes(4).toString('hex')}`
  await query(server, `create database ${name} template template0 encoding 'UTF8' locale 'C' locale_provider libc`)
  return { name, url: databaseUrl(server, name) }
}

/** Drops a run's template and what crashed test files have left of its clones. */
export async function dropTemplate(server: string, template: string): Promise<void> {
  const names = await query<{ datname: string }>(
    server,
    `select datname from pg_database where datname = $1 or starts_with(datname, $1 || '_')`,
    [template],
  )
  for (const { datname } of names) await dropDatabase(server, datname)
}

async function dropDatabase(server: string, name: string): Promise<void> {
  await query(server, `drop database if exists ${name} with (force)`)
}

async function clone(server: string, template: string, name: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await query(server, `create database ${name} template ${template}`)
      return
    } catch (error) {
      // Postgres itself waits 5 s for whoever is connected to the template before it says so.
      if (attempt === 3 || (error as { code?: string }).code !== objectInUse) throw error
      await sleep(200)
    }
  }
}

function databaseUrl(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = name
  return url.href
}

const objectInUse = '55006'
