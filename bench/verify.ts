/**
 * `npm run bench:verify`: how long verifying a ledger of a million entries takes, and how much memory this process needs. It starts its own
 * Postgres and fills it by SQL.
 */
import { verify } from '../src/ledger/verify.ts'
import { query } from '../test/support/database.ts'
import { startPostgres } from '../test/support/postgres.ts'
import { migratedDatabase, withDatabase } from './database.ts'
import { fill } from './fill.ts'
import { peopleOf } from './people.ts'

const ACCOUNTS = 5_000
const JOBS = 125
const ROUNDS = 3

const postgres = await startPostgres()
try {
  const url = await migratedDatabase(postgres.url, 'verify')
  await fill(url, peopleOf(ACCOUNTS), JOBS)
  const [counted] = await query<{ entries: string; jobs: string }>(
    url,
    'select (select count(*) from ledger_entries) as entries, (select count(*) from jobs) as jobs',
  )
  console.log(`${counted?.entries} entries of ${counted?.jobs} jobs`)
  await withDatabase(url, async (db) => {
    const before = process.memoryUsage().rss
    for (let round = 1; round <= ROUNDS; round++) {
      const begun = performance.now()
      const { ok } = await verify(db)
      console.log(`round ${round}: ${((performance.now() - begun) / 1000).toFixed(1)} s, ${ok ? 'right' : 'BROKEN'}`)
      if (!ok) process.exitCode = 1
    }
    console.log(
      `memory of this process: ${((process.memoryUsage().rss - before) / 1e6).toFixed(0)} MB more than before`,
    )
  })
} finally {
  await postgres.stop()
}
