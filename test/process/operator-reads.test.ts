import { sql } from 'kysely'
import t from 'tap'
import { JOB_READS } from '../../src/operator/all-jobs.ts'
import { ACCOUNT_READS } from '../../src/operator/find-accounts.ts'
import { SEARCHES } from '../../src/operator/search.ts'
import { DAY_SUMS } from '../../src/operator/totals.ts'
import { freshDatabase } from '../support/database.ts'
import { operations } from '../support/document.ts'
import { fillDatabase } from '../support/filled.ts'
import { linksOf } from '../support/hostile.ts'
import { startOwn } from '../support/start.ts'

/** What must be found by an index: all that grows with accounts and jobs. */
const TABLES = [
  ...['accounts', 'jobs', 'ledger_entries', 'tokens', 'admin_actions', 'purchases', 'sessions', 'grants', 'app_grants'],
  ...['webhook_messages', 'webhook_attempts', 'payers'],
]
/** Rows that one answer may read: a page of jobs looks at 5,000, and at each of its own. */
const MOST_ROWS = 6_000
/** ... of these without an index: to see whether there is any row, one is enough. */
const MOST_SCANNED = 100

/** These read everything, as they must: verify the ledger, usage the jobs of a period. */
const WHOLE = /^\/api\/admin\/(verify|usage)$/

t.test('what an operator reads is found by an index, whatever is filtered and sorted by', async (t) => {
  const { url, drop } = await freshDatabase()
  t.teardown(drop)
  const some = await fillDatabase(url)
  const { app, db, admin } = await startOwn(t, { DATABASE_URL: url, DATABASE_POOL_SIZE: '1' })
  const { cookie } = await admin()
  const counters = async () => {
    // Otherwise a connection tells what it has read once a second.
    await sql`select pg_stat_force_next_flush()`.execute(db)
    const { rows } = await sql<{ name: string; scanned: number; found: number }>`select relname as name,
      seq_tup_read as scanned, coalesce(idx_tup_fetch, 0) as found
      from pg_stat_user_tables where relname = any(${TABLES})`.execute(db)
    return new Map(rows.map((row) => [row.name, row]))
  }
  let before = await counters()
  t.equal(before.size, TABLES.length, 'every table is there')
  const faults: string[] = []
  let answers = 0
  async function read(url: string) {
    const reply = await app.inject({ url, headers: { cookie, accept: 'text/html' } })
    const after = await counters()
    let total = 0
    for (const [name, { scanned, found }] of after) {
      const was = before.get(name) ?? { scanned: 0, found: 0 }
      if (scanned - was.scanned > MOST_SCANNED) faults.push(`${url} scans ${scanned - was.scanned} rows of ${name}`)
      total += scanned - was.scanned + found - was.found
    }
    if (total > MOST_ROWS) faults.push(`${url} reads ${total} rows`)
    if (reply.statusCode >= 500) faults.push(`${url} ${reply.statusCode}`)
    if (reply.statusCode === 200) answers++
    before = after
    return reply
  }

  for (const path of listsOf(some)) {
    const reply = await read(path)
    const { next_cursor = null } = reply.statusCode === 200 ? reply.json() : {}
    if (next_cursor) await read(`${path}${path.includes('?') ? '&' : '?'}cursor=${next_cursor}`)
  }
  const seen = new Set<string>()
  const waiting = ['/console', `/console/accounts/${some.account}/jobs?status=failed`]
  waiting.push(...['cs_7', 'py_7', 'pi_7', '0007', some.job, 'user_7', 'nothing'].map((q) => `/console/search?q=${q}`))
  for (let url = waiting.pop(); url !== undefined; url = waiting.pop()) {
    // One of each kind: ids and cursors are the same.
    const kind = url
      .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, ':id')
      .replaceAll(/cursor=[^&]+/g, 'cursor')
    if (!url.startsWith('/console') || seen.has(kind)) continue
    seen.add(kind)
    waiting.push(...linksOf((await read(url)).body))
  }
  t.strictSame(faults, [])
  t.ok(answers > 150, `${answers} answers`)

  // A named statement may come to be planned for any values.
  await sql`set plan_cache_mode = force_generic_plan`.execute(db)
  for (const { sql: text } of [...ACCOUNT_READS, ...SEARCHES, ...JOB_READS, ...DAY_SUMS]) {
    await sql.raw(`prepare read_across as ${text}`).execute(db)
    const nulls = [...new Set(text.match(/\$\d+/g))].map(() => 'null')
    const { rows } = await sql.raw<{ 'QUERY PLAN': string }>(`explain execute read_across (${nulls})`).execute(db)
    await sql`deallocate read_across`.execute(db)
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    t.notMatch(plan, /Seq Scan/, `${text}\n${plan}`)
  }
})

/** Every list and everything single that administrators read, by every choice of filters. */
function listsOf({
  account,
  job,
  endpoint,
  actor,
}: Record<'account' | 'job' | 'endpoint' | 'actor', string>): string[] {
  const values: Record<string, string[]> = {
    ...{ app: ['video', 'rare', 'none'], account: [account], account_id: [account], administrator: [actor, account] },
    ...{ action: ['setApp', 'none'], target: ['app%20rare', 'none'], clerk_id: ['user_7'], endpoint_id: [endpoint] },
    ...{ from: ['2020-01-01'], to: ['2020-02-01'] },
    q: ['cs_7', 'py_7', 'pi_7', '0007', job, account, 'user_7', 'nothing', '7@example.com'],
  }
  const ids: Record<string, string> = { accounts: account, jobs: job, apps: 'video', webhooks: endpoint }
  return operations.flatMap(({ method, path, operation }) => {
    if (method !== 'GET' || !path.startsWith('/api/admin/') || WHOLE.test(path)) return []
    const base = path.replace(/(\w+)\/\{\w+\}/g, (_, kind) => `${kind}/${ids[kind]}`)
    let queries = ['']
    for (const { in: place, name, schema } of operation.parameters ?? []) {
      if (place !== 'query' || name === 'cursor' || name === 'limit') continue
      const choices = values[name] ?? schema.enum ?? (schema.type === 'boolean' ? ['true', 'false'] : undefined)
      if (!choices) throw new Error(`values[${name}] is missing, for ${path}`)
      queries = queries.flatMap((query) => [query, ...choices.map((choice) => `${query}&${name}=${choice}`)])
    }
    return queries.map((query) => (query ? `${base}?${query.slice(1)}` : base))
  })
}
