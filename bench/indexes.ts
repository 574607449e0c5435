import pg from 'pg'
import { type Measurement, table } from './results.ts'
import { median } from './rounds.ts'
import type { World } from './world.ts'

const BATCH = 32
const BATCHES = 100

/** Storage settings to compare with those of the schema. */
const FILL_FACTORS: Record<string, [own: string, other: string]> = {
  'accounts, fill factor 80 ÷ 50': [
    'alter table accounts set (fillfactor = 80)',
    'alter table accounts set (fillfactor = 50)',
  ],
  'accounts, fill factor 80 ÷ 100': [
    'alter table accounts set (fillfactor = 80)',
    'alter table accounts set (fillfactor = 100)',
  ],
  'jobs, fill factor 100 ÷ 80': ['alter table jobs set (fillfactor = 100)', 'alter table jobs set (fillfactor = 80)'],
}

/** Runs the writes of reserve + complete for batches of operations, as the service stores them. @returns the duration of each batch in µs */
const WRITES = `create function write_batches(batches int, size int) returns setof float8 language plpgsql as $$
  declare
    accounts_of uuid[];
    ids uuid[];
    everybody uuid[] := array(select id from accounts);
    began timestamptz;
  begin
    for batch in 1 .. batches loop
      accounts_of := array(select everybody[1 + floor(random() * cardinality(everybody))::int] from generate_series(1, size));
      ids := array(select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7' ||
        substr(md5(random()::text || n), 1, 19))::uuid from generate_series(1, size) n);
      began := clock_timestamp();
      update accounts set credits = credits - 5, held = held + 5, seq = seq + 1 where id = any(accounts_of);
      insert into jobs (account_id, id, app_slug, action, reserved, metadata, ttl_seconds, expires_at)
        select account_id, id, 'video', 'render', 5, '{"description": "Render preview clip"}', 86400, now() + interval '1 day'
        from unnest(accounts_of, ids) as new (account_id, id);
      insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after)
        select account_id, 1000000 + nextval('bench_seq'), id, 'job_reserve', -5, 5
        from unnest(accounts_of, ids) as new (account_id, id);
      update accounts set credits = credits + 2, held = held - 5, seq = seq + 1 where id = any(accounts_of);
      update jobs set status = 'completed', actual_cost = 3, updated_at = now()
        from unnest(accounts_of, ids) as new (account_id, id) where jobs.account_id = new.account_id and jobs.id = new.id;
      insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after)
        select account_id, 1000000 + nextval('bench_seq'), id, 'job_refund', 2, 7
        from unnest(accounts_of, ids) as new (account_id, id);
      return next extract(epoch from clock_timestamp() - began) * 1e6;
    end loop;
  end $$`

/**
 * What each index of jobs and ledger_entries adds to a posting, and what fill factors change: the writes of reserve + complete, alternately
 * with and without it. The server measures them itself, in one session. The fastest tenth of the batches counts, because other work on the
 * machine can only make a batch slower.
 */
export async function measureIndexes(world: World, rounds: number): Promise<Measurement> {
  const client = new pg.Client({ connectionString: await world.database('indexes', world.people, 10) })
  await client.connect()
  try {
    for (const text of ['create sequence bench_seq', WRITES, 'set enable_seqscan = off', 'set enable_hashjoin = off'])
      await client.query(text)
    const { rows: indexes } = await client.query<{ name: string; definition: string }>(
      `select indexname as name, indexdef as definition from pg_indexes
      where tablename in ('jobs', 'ledger_entries') and indexname not like '%_pkey' order by tablename desc, indexname`,
    )
    const variants: [name: string, own: string, other: string][] = [
      ...indexes.map(({ name, definition }): [string, string, string] => [name, definition, `drop index ${name}`]),
      ...Object.entries(FILL_FACTORS).map(([name, [own, other]]): [string, string, string] => [name, own, other]),
    ]
    const rows: [string, number, number, number][] = []
    for (const [name, own, other] of variants) {
      const pairs: [number, number][] = []
      for (let round = 0; round < rounds; round++) {
        const gone = await changed(client, other)
        const here = await changed(client, own)
        pairs.push([here, gone])
      }
      const [here, gone] = [median(pairs.map(([one]) => one)), median(pairs.map(([, one]) => one))]
      rows.push([name, here, gone, here - gone])
    }
    const head = [
      'index or setting',
      'µs of writing an operation',
      'without the index, or with the other setting',
      'difference',
    ]
    return { figures: [], part: `### What an index costs\n\n${table(head, rows)}` }
  } finally {
    await client.end()
  }
}

async function changed(client: pg.Client, change: string): Promise<number> {
  await client.query(change)
  await client.query('vacuum (full, analyze) accounts')
  return time(client)
}

/** @returns the duration of writing one operation, in µs; a job is two operations */
async function time(client: pg.Client): Promise<number> {
  await client.query('select count(*) from write_batches(20, $1)', [BATCH])
  const { rows } = await client.query<{ us: number }>(
    'select percentile_cont(0.1) within group (order by us) as us from write_batches($1, $2) as us',
    [BATCHES, BATCH],
  )
  return (rows[0]?.us ?? Number.NaN) / (2 * BATCH)
}
