import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/**
 * The servers that tests make their databases on: one, or the nodes of a Citus cluster with the coordinator first. Every
 * database is then made on each node.
 */
export function nodes(): string[] {
  const { TEST_DATABASE_URL: server, TEST_NODES: cluster } = process.env
  return urlsOf(cluster ?? server)
}

/** Whether tests run on a cluster, whose tables are spread over its nodes. */
export const isCluster = (): boolean => nodes().length > 1

/** A test's database on each of its nodes. */
export const nodeUrls = (url: string): string[] =>
  nodes().map((node) => databaseUrl(node, new URL(url).pathname.slice(1)))

/** URLs in a variable of the environment, apart by white space. */
export const urlsOf = (list = ''): string[] => list.split(/\s+/).filter(Boolean)

/** Clones the migrated template of this test run; `drop` does not mind who is still connected. */
export async function freshDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const servers = nodes()
  const [server] = servers
  const template = process.env.TEST_TEMPLATE_DATABASE
  if (!server || !template) throw new Error('There is no test database here: run tests with `npm test -- <file>`.')

  const name = `${template}_${randomBytes(4).toString('hex')}`
  // Workers first: the coordinator's copy finds its shards as soon as it is there.
  for (const node of servers.toReversed()) await clone(node, template, name)
  return {
    url: databaseUrl(server, name),
    drop: () => dropEverywhere(servers, name),
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
  await createEmpty(server, name)
  return { name, url: databaseUrl(server, name) }
}

/** Makes an empty database on every node of a cluster, the coordinator's knowing its workers. */
export async function createOnCluster(servers: string[]): Promise<{ name: string; url: string }> {
  const [coordinator = '', ...workers] = servers
  const made = await createTemplate(coordinator)
  for (const worker of workers) await createEmpty(worker, made.name)
  for (const server of servers) await query(databaseUrl(server, made.name), 'create extension citus')
  const address = (server: string) => [new URL(server).hostname, new URL(server).port || 5432]
  await query(made.url, 'select citus_set_coordinator_host($1, $2)', address(coordinator))
  for (const worker of workers) await query(made.url, 'select citus_add_node($1, $2)', address(worker))
  return made
}

const createEmpty = (server: string, name: string) =>
  query(server, `create database ${name} template template0 encoding 'UTF8' locale 'C' locale_provider libc`)

/** Ends every connection to a template for good: Citus keeps some open, and one is enough for Postgres to refuse a clone. */
export async function sealTemplate(servers: string[], name: string): Promise<void> {
  for (const server of servers) {
    await query(server, `alter database ${name} allow_connections false`)
    await query(server, 'select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1', [name])
  }
}

/** Drops a run's template and what crashed test files have left of its clones. */
export async function dropTemplate(servers: string[], template: string): Promise<void> {
  for (const server of servers) {
    const names = await query<{ datname: string }>(
      server,
      `select datname from pg_database where datname = $1 or starts_with(datname, $1 || '_')`,
      [template],
    )
    for (const { datname } of names) await dropEverywhere([server], datname)
  }
}

/** The coordinator's first: it has the connections to the others. */
async function dropEverywhere(servers: string[], name: string): Promise<void> {
  for (const server of servers) await query(server, `drop database if exists ${name} with (force)`)
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
