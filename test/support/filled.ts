import pg from 'pg'

/** A database of some size for tests of what reads cost: accounts with everything that belongs to them, where little is rare. */

const uuid7 = (moment: string, salt: string) =>
  `(substr(lpad(to_hex((extract(epoch from ${moment}) * 1000)::bigint), 12, '0'), 1, 12) || '7' || substr(md5(${salt}), 1, 19))::uuid`
const account = (n: string) => `md5('account' || (${n}))::uuid`

const ACCOUNTS = 2_000
const JOBS = 16_000

const STATEMENTS = [
  'set session_replication_role = replica',
  `insert into apps (slug, name, origins) select slug, slug, '{}' from unnest('{video, rare}'::text[] || array(select 'app-' || n from generate_series(1, 18) n)) slug`,
  `insert into accounts (id, clerk_id, credits, seq, created_at, closed_at)
    select ${account('n')}, 'user_' || n, case when n % 100 = 1 then -5 else 100 end, 109, now() - n * interval '1 minute',
      case when n % 200 = 0 then now() - n * interval '1 second' end
    from generate_series(1, ${ACCOUNTS}) n`,
  // The newest belong to no rare app and have not failed.
  `insert into jobs (account_id, id, app_slug, action, status, reserved, expires_at, created_at)
    select ${account(`1 + n % ${ACCOUNTS}`)}, ${uuid7('moment', "'job' || n")}, case when n > ${JOBS - 10} then 'rare' else 'video' end, 'render',
      case when n % 500 = 1 then 'started' when n > ${JOBS / 2} and n % 400 = 2 then 'failed' else 'completed' end, 0,
      now() + case when n % 1000 = 1 then -1 else 1 end * interval '1 hour', moment
    from generate_series(1, ${JOBS}) n, lateral (select now() - n * interval '1 minute') as at (moment)`,
  `insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after, created_at)
    select account_id, row_number() over (partition by account_id order by id), id, 'job_reserve', -1, 1, created_at from jobs`,
  `insert into ledger_entries (account_id, seq, kind, amount, balance_after, reference, created_at)
    select ${account('n')}, 108, 'topup', 5, case when n % 100 = 1 then -5 else 100 end, 'pi_' || n, now() - n * interval '1 minute'
    from generate_series(1, ${ACCOUNTS}) n`,
  `insert into ledger_entries (account_id, seq, kind, amount, balance_after, reference, created_at)
    select ${account('n')}, 109, 'starter_grant', 5, 100, 'starter_grant:video', now() from generate_series(1, ${ACCOUNTS}) n`,
  `insert into app_grants (account_id, app_slug, credits, granted_at) select id, case when n % 20 = 0 then 'video' else 'app-' || n % 20 end, 5, now() from (select id, row_number() over () as n from accounts) a`,
  `insert into tokens (id, token_hash, account_id, name, last_four, scopes, expires_at)
    select ${uuid7(`now() - n * interval '1 minute'`, "'token' || n")}, 'hash' || n, ${account('n')}, 'laptop', lpad(n::text, 4, '0'), '{account}',
      now() + interval '1 day'
    from generate_series(1, ${ACCOUNTS}) n`,
  `insert into grants (id, account_id, client_id, scopes)
    select ${uuid7(`now() - n * interval '1 minute'`, "'grant' || n")}, ${account('n')}, 'client', '{account}' from generate_series(1, ${ACCOUNTS}) n`,
  `insert into sessions (session_hash, account_id, clerk_sid, name, expires_at)
    select 'hash' || n, ${account('n')}, 'sess_' || n, n || '@example.com', now() + interval '1 day' from generate_series(1, ${ACCOUNTS}) n`,
  `insert into purchases (account_id, id, pack_slug, pack_name, credits, price, currency, provider, origin, status, disputed, payment_id,
      checkout_id, reference, amount, created_at, paid_at)
    select ${account('n')}, ${uuid7(`now() - n * interval '1 hour'`, "'purchase' || n")}, 'small', 'Small', 100, 500, 'usd', 'stripe', 'checkout',
      case n % 1000 when 1 then 'open' when 2 then 'failed' when 3 then 'processing' when 4 then 'expired' else 'paid' end, n % 1000 = 5, 'py_' || n,
      'cs_' || n, case when n % 1000 not between 1 and 4 then 'stripe:py_' || n end, case when n % 1000 not between 1 and 4 then 500 end,
      now() - n * interval '1 hour', case when n % 1000 not between 1 and 4 then now() - n * interval '1 hour' end
    from generate_series(1, ${ACCOUNTS}) n`,
  `insert into admin_actions (account_id, id, concerns_account, actor_id, via, action, target, created_at)
    select ${account(`1 + n % ${ACCOUNTS}`)}, ${uuid7('moment', "'action' || n")}, true, ${account('1 + n % 3')}, 'api',
      case when n > 7990 then 'setApp' else 'adjustCredits' end, case when n > 7990 then 'app rare' else 'account ' || n end, moment
    from generate_series(1, 8000) n, lateral (select now() - n * interval '1 minute') as at (moment)`,
  `insert into webhook_endpoints (id, app_slug, url, secret, events)
    select md5('endpoint' || n)::uuid, 'video', 'https://hooks.example.com/' || n, 'x', '{job.completed}' from generate_series(1, 3) n`,
  `insert into webhook_messages (account_id, id, endpoint_id, event, payload, status)
    select ${account('n')}, gen_random_uuid(), md5('endpoint1')::uuid, 'job.completed', '{}', case when n % 500 = 1 then 'dead' else 'pending' end
    from generate_series(1, ${ACCOUNTS}) n`,
  `insert into webhook_attempts (account_id, id, endpoint_id, message_id, event, attempt, ms)
    select ${account('n')}, ${uuid7(`now() - n * interval '1 minute'`, "'attempt' || n")}, md5('endpoint1')::uuid, gen_random_uuid(), 'job.completed', 1, 5
    from generate_series(1, ${ACCOUNTS}) n`,
  // Sums over all accounts are gathered in the background, and this one says that it takes too long for a request.
  `insert into statistics (name, value) values ('totals', '{"accounts":1,"closed_accounts":0,"credits":1,"held":0,"negative_accounts":0,"took":5000}')`,
  'vacuum analyze',
]

/** Fills an empty, migrated database. @returns ids of things in the midst of it */
export async function fillDatabase(url: string) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of STATEMENTS) await client.query(statement)
    const { rows } = await client.query<{
      account: string
      job: string
      endpoint: string
      purchase: string
      actor: string
    }>(
      `select ${account('1999')} as account, (select id from jobs where account_id = ${account('1999')} limit 1) as job,
        md5('endpoint1')::uuid as endpoint, (select id from purchases where account_id = ${account('1999')}) as purchase,
        ${account('1')} as actor`,
    )
    if (!rows[0]) throw new Error('nothing was filled')
    return rows[0]
  } finally {
    await client.end()
  }
}
