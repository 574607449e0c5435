import { type Kysely, sql, type Transaction } from 'kysely'
import t, { type Test } from 'tap'
import type { Tables } from '../../src/db/tables.ts'
import { start } from '../support/start.ts'

const ADA = `'00000000-0000-4000-8000-000000000001'`
const NOBODY = `'00000000-0000-4000-8000-00000000dead'`
const JOB = `'0195a1f0-0000-7000-8000-00000000000a'`
const OTHER = `'0195a1f0-0000-7000-8000-00000000000b'`
const MAX = '9007199254740991'

const CHECK = '23514'
const UNIQUE = '23505'
const FOREIGN_KEY = '23503'
const RESTRICTED = '23001'

/** What the rules allow; every bad row below differs from one of these in one thing. */
const GOOD = `
  insert into accounts (id, clerk_id, credits, held, seq) values (${ADA}, 'user_ada', 100, 5, 10);
  insert into apps (slug, starter_credits) values ('good', ${MAX});
  insert into app_grants (account_id, app_slug) values (${ADA}, 'seen');
  insert into jobs (account_id, id, app_slug, action, reserved, expires_at, idempotency_key, request_hash)
    values (${ADA}, ${JOB}, 'video', 'render', 5, now(), 'key', 'hash'), (${ADA}, ${OTHER}, 'video', 'render', 0, now(), null, null);
  insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after, reference) values
    (${ADA}, 1, null, 'starter_grant', 20, 20, 'starter_grant:video'),
    (${ADA}, 2, ${JOB}, 'job_reserve', -5, 15, null),
    (${ADA}, 3, ${JOB}, 'job_release', 5, 20, null),
    (${ADA}, 4, ${JOB}, 'job_late_charge', -30, -10, null),
    (${ADA}, 5, null, 'adjustment', -1, -11, 'reference'),
    (${ADA}, 6, null, 'topup', 1, -10, null);`

const account = (values: string) =>
  `insert into accounts (id, clerk_id, credits, held) values (gen_random_uuid(), 'user_x', ${values})`
const app = (slug: string, credits: string | number = 0) =>
  `insert into apps (slug, starter_credits) values (${slug}, ${credits})`
const grant = (values: string) =>
  `insert into app_grants (account_id, app_slug, credits, granted_at) values (${values})`
const job = (changes: Record<string, string | number>) => {
  const row = {
    account_id: ADA,
    id: 'gen_random_uuid()',
    app_slug: `'video'`,
    action: `'render'`,
    reserved: 5,
    expires_at: 'now()',
    ...changes,
  }
  return `insert into jobs (${Object.keys(row)}) values (${Object.values(row)})`
}
const entry = (kind: string, amount: number, changes: Record<string, string | number> = {}) => {
  const row = {
    account_id: ADA,
    seq: 20,
    job_id: kind.startsWith('job_') ? OTHER : 'null',
    kind: `'${kind}'`,
    amount,
    balance_after: 0,
    reference: kind === 'starter_grant' ? `'starter_grant:audio'` : 'null',
    ...changes,
  }
  return `insert into ledger_entries (${Object.keys(row)}) values (${Object.values(row)})`
}

const GIVING = ['starter_grant', 'job_refund', 'job_release', 'job_expire', 'topup_reinstated']
const TAKING = ['job_reserve', 'job_overage', 'job_late_charge', 'topup_refund']
const EITHER = ['admin_grant', 'topup', 'adjustment']
const ENDINGS = ['job_refund', 'job_overage', 'job_release', 'job_expire']
const signed = (kind: string) => (TAKING.includes(kind) ? -1 : 1)

const REFUSED: [what: string, sql: string, code: string, constraint: string][] = [
  ['an account twice', `insert into accounts (id, clerk_id) values (${ADA}, 'user_ada')`, UNIQUE, 'accounts_pkey'],
  ['a hold below zero', account('0, -1'), CHECK, 'accounts_held'],
  ['credits above 2^53 - 1', account(`${MAX}::bigint + 1, 0`), CHECK, 'accounts_range'],
  ['credits and holds above 2^53 - 1', account(`${MAX}, 1`), CHECK, 'accounts_range'],
  ['credits below -(2^53 - 1)', account(`-${MAX}::bigint - 1, 0`), CHECK, 'accounts_range'],
  ['a hold below zero later', `update accounts set held = -1 where id = ${ADA}`, CHECK, 'accounts_held'],

  ['an app twice', app(`'good'`), UNIQUE, 'apps_pkey'],
  ...['', '-a', 'A', 'a_b', 'a b', 'ä', 'a\n', 'x'.repeat(64)].map((slug): [string, string, string, string] => [
    `the slug ${JSON.stringify(slug)}`,
    app(`'${slug}'`),
    CHECK,
    'apps_slug_check',
  ]),
  ['starter credits below zero', app(`'x'`, -1), CHECK, 'apps_starter_credits_check'],
  ['starter credits above 2^53 - 1', app(`'x'`, `${MAX}::bigint + 1`), CHECK, 'apps_starter_credits_check'],

  ['a grant twice', grant(`${ADA}, 'seen', 1, now()`), UNIQUE, 'app_grants_pkey'],
  ['a grant of nobody', grant(`${NOBODY}, 'video', 1, now()`), FOREIGN_KEY, 'app_grants_account_id_fkey'],
  ['a grant below zero', grant(`${ADA}, 'x', -1, null`), CHECK, 'app_grants_check'],
  ['a grant without a time', grant(`${ADA}, 'x', 1, null`), CHECK, 'app_grants_check'],
  ['a grant of nothing', grant(`${ADA}, 'x', 0, now()`), CHECK, 'app_grants_check'],

  ['a job twice', job({ id: JOB }), UNIQUE, 'jobs_pkey'],
  ['a job of another status', job({ status: `'paused'` }), CHECK, 'jobs_status_check'],
  ['a reserve below zero', job({ reserved: -1 }), CHECK, 'jobs_reserved_check'],
  ['a reserve above 2^53 - 1', job({ reserved: `${MAX}::bigint + 1` }), CHECK, 'jobs_reserved_check'],
  ['a cost below zero', job({ status: `'completed'`, actual_cost: -1 }), CHECK, 'jobs_actual_cost_check'],
  [
    'a cost above 2^53 - 1',
    job({ status: `'failed'`, actual_cost: `${MAX}::bigint + 1` }),
    CHECK,
    'jobs_actual_cost_check',
  ],
  ['a started job that has cost something', job({ actual_cost: 1 }), CHECK, 'jobs_check'],
  ...[`'[]'`, `'1'`, `'"text"'`, `'null'`].map((metadata): [string, string, string, string] => [
    `the metadata ${metadata}`,
    job({ metadata }),
    CHECK,
    'jobs_metadata_check',
  ]),
  ['a key without its hash', job({ idempotency_key: `'other'` }), CHECK, 'jobs_check1'],
  ['a hash without its key', job({ request_hash: `'hash'` }), CHECK, 'jobs_check1'],
  ['a key twice', job({ idempotency_key: `'key'`, request_hash: `'x'` }), UNIQUE, 'jobs_idempotency_key'],

  ['an entry twice', entry('topup', 1, { seq: 1 }), UNIQUE, 'ledger_entries_pkey'],
  ['seq 0', entry('topup', 1, { seq: 0 }), CHECK, 'ledger_entries_seq_check'],
  ['an unknown kind', entry('gift', 1), CHECK, 'ledger_entries_amount'],
  ...[...GIVING, ...TAKING, ...EITHER].map((kind): [string, string, string, string] => [
    `${kind} of zero`,
    entry(kind, 0),
    CHECK,
    'ledger_entries_amount',
  ]),
  ...[...GIVING, ...TAKING].map((kind): [string, string, string, string] => [
    `${kind} the wrong way`,
    entry(kind, -signed(kind)),
    CHECK,
    'ledger_entries_amount',
  ]),
  ...['starter_grant', ...EITHER].map((kind): [string, string, string, string] => [
    `${kind} with a job`,
    entry(kind, 1, { job_id: OTHER }),
    CHECK,
    'ledger_entries_job',
  ]),
  ...[...GIVING, ...TAKING]
    .filter((kind) => kind.startsWith('job_'))
    .map((kind): [string, string, string, string] => [
      `${kind} without a job`,
      entry(kind, signed(kind), { job_id: 'null' }),
      CHECK,
      'ledger_entries_job',
    ]),
  ['a reserve below zero', entry('job_reserve', -1, { balance_after: -1 }), CHECK, 'ledger_entries_reserve'],
  [
    'a starter grant without its reference',
    entry('starter_grant', 1, { reference: 'null' }),
    CHECK,
    'ledger_entries_starter',
  ],
  ['a starter grant by another name', entry('starter_grant', 1, { reference: `'x'` }), CHECK, 'ledger_entries_starter'],
  [
    'something else by the name of a starter grant',
    entry('topup', 1, { reference: `'starter_grant:audio'` }),
    CHECK,
    'ledger_entries_starter',
  ],
  [
    'a second starter grant',
    entry('starter_grant', 1, { reference: `'starter_grant:video'` }),
    UNIQUE,
    'ledger_entries_reference',
  ],
  ['a reference twice', entry('topup', 1, { reference: `'reference'` }), UNIQUE, 'ledger_entries_reference'],
  ['a second late charge', entry('job_late_charge', -1, { job_id: JOB }), UNIQUE, 'ledger_entries_one_late_charge'],
  ...ENDINGS.map((kind): [string, string, string, string] => [
    `${kind} of a job that has ended`,
    entry(kind, signed(kind), { job_id: JOB }),
    UNIQUE,
    'ledger_entries_one_ending',
  ]),

  ['a changed entry', `update ledger_entries set amount = 1 where seq = 6`, RESTRICTED, ''],
  ['an entry changed to what it is', `update ledger_entries set amount = amount where seq = 6`, RESTRICTED, ''],
  ['a deleted entry', `delete from ledger_entries where seq = 6`, RESTRICTED, ''],
  ['an emptied ledger', `truncate ledger_entries`, RESTRICTED, ''],
  ['an account deleted from under its grants', `delete from accounts where id = ${ADA}`, FOREIGN_KEY, ''],

  [
    'a token hash twice',
    `insert into tokens (id, token_hash, account_id, name, last_four, scopes, expires_at)
      select gen_random_uuid(), 'same', ${ADA}::uuid, 'x', 'abcd', '{}', now() from generate_series(1, 2)`,
    UNIQUE,
    'tokens_token_hash_key',
  ],
  [
    'a session twice',
    `insert into sessions (session_hash, account_id, clerk_sid, expires_at)
      select 'same', ${ADA}::uuid, 'sess_x', now() from generate_series(1, 2)`,
    UNIQUE,
    'sessions_pkey',
  ],
  [
    'a user code twice',
    `insert into device_codes (device_code_hash, user_code, scopes, expires_at)
      select n::text, 'BCDF-1234', '{}', now() from generate_series(1, 2) n`,
    UNIQUE,
    'device_codes_user_code_key',
  ],
  [
    'a device code of another status',
    `insert into device_codes (device_code_hash, user_code, status, scopes, expires_at) values ('h', 'c', 'maybe', '{}', now())`,
    CHECK,
    'device_codes_status_check',
  ],
]

const ALLOWED: [what: string, sql: string][] = [
  ['the largest balance', account(`${MAX}, 0`)],
  ['the largest hold of the largest debt', account(`-${MAX}, ${MAX}`)],
  ['the shortest slug', app(`'0'`)],
  ['the longest slug', app(`'${'x'.repeat(63)}'`)],
  ['the largest amounts', job({ status: `'completed'`, reserved: MAX, actual_cost: MAX })],
  [
    'the same key in another account',
    `${account('0, 0')}; ${job({ account_id: `(select id from accounts where clerk_id = 'user_x' limit 1)`, idempotency_key: `'key'`, request_hash: `'h'` })}`,
  ],
  ['no metadata', job({ metadata: 'null' })],
  ['a late charge beside an ending', entry('job_late_charge', -1)],
  ...[...GIVING, ...TAKING].map((kind): [string, string] => [kind, entry(kind, signed(kind))]),
  ...EITHER.flatMap((kind): [string, string][] => [
    [`${kind} that gives`, entry(kind, 1)],
    [`${kind} that takes`, entry(kind, -1)],
  ]),
]

/** Runs statements and takes them back; resolves to what the schema says against them. */
async function attempt(
  trx: Transaction<Tables>,
  text: string,
): Promise<{ code: string; constraint: string } | undefined> {
  await sql`savepoint attempt`.execute(trx)
  try {
    await run(trx, text)
    return undefined
  } catch (error) {
    const { code = '', constraint = '' } = error as { code?: string; constraint?: string }
    return { code, constraint }
  } finally {
    await sql`rollback to attempt`.execute(trx)
  }
}

async function run(trx: Transaction<Tables>, text: string): Promise<void> {
  for (const statement of text.split(';')) if (statement.trim()) await sql.raw(statement).execute(trx)
}

async function holdsTheRules(t: Test, db: Kysely<Tables>): Promise<void> {
  const trx = await db.startTransaction().execute()
  await run(trx, GOOD)
  for (const [what, text, code, constraint] of REFUSED) {
    const expected = constraint ? { code, constraint } : { code }
    t.match(await attempt(trx, text), expected, `refuses ${what}`)
  }
  for (const [what, text] of ALLOWED) t.equal(await attempt(trx, text), undefined, `allows ${what}`)
  await trx.rollback().execute()
}

t.test('the schema refuses what the rules forbid, and nothing else', async (t) => {
  await holdsTheRules(t, (await start(t)).db)
})

t.test('the schema in PGlite refuses what the rules forbid, and nothing else', async (t) => {
  await holdsTheRules(t, (await start(t, { DATABASE_URL: '' })).db)
})
