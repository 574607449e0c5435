import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { connect } from '../../src/db/connect.ts'
import { EXPLANATIONS, type Invariant } from '../../src/ledger/explanations.ts'
import { freshDatabase, query } from '../support/database.ts'
import type { App } from '../support/start.ts'

const ADA = `'00000000-0000-4000-8000-000000000001'`
const GRACE = `'00000000-0000-4000-8000-000000000002'`
const A = `'0195a1f0-0000-7000-8000-00000000000a'`
const B = `'0195a1f0-0000-7000-8000-00000000000b'`
const C = `'0195a1f0-0000-7000-8000-00000000000c'`
const D = `'0195a1f0-0000-7000-8000-00000000000d'`
const NO_JOB = `'0195a1f0-0000-7000-8000-0000000000ff'`

/**
 * Two people; of Ada's jobs two are under way (A, B) and two completed (C, D). Her first credits she bought. A and B
 * count against a budget, D against one whose period has begun since.
 */
const RIGHT = `
  ${['accounts', 'apps', 'app_grants', 'jobs', 'ledger_entries', 'purchases', 'budgets'].map((table) => `delete from ${table};`).join(' ')}
  insert into accounts (id, clerk_id, credits, held, seq) values (${ADA}, 'user_ada', 75, 9, 9), (${GRACE}, 'user_grace', 20, 0, 1);
  insert into app_grants (account_id, app_slug, credits, granted_at) values (${GRACE}, 'video', 20, now());
  insert into jobs (account_id, id, app_slug, action, status, reserved, actual_cost, expires_at) values
    (${ADA}, ${A}, 'video', 'render', 'started', 4, 0, now()), (${ADA}, ${B}, 'video', 'render', 'started', 5, 0, now()),
    (${ADA}, ${C}, 'video', 'render', 'completed', 6, 4, now()), (${ADA}, ${D}, 'video', 'render', 'completed', 10, 12, now());
  insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after, reference) values
    (${GRACE}, 1, null, 'starter_grant', 20, 20, 'starter_grant:video'),
    (${ADA}, 1, null, 'topup', 60, 60, 'first'),
    (${ADA}, 2, ${A}, 'job_reserve', -4, 56, null),
    (${ADA}, 3, ${B}, 'job_reserve', -5, 51, null),
    (${ADA}, 4, ${C}, 'job_reserve', -6, 45, null),
    (${ADA}, 5, ${C}, 'job_refund', 2, 47, null),
    (${ADA}, 6, ${D}, 'job_reserve', -10, 37, null),
    (${ADA}, 7, ${D}, 'job_overage', -2, 35, null),
    (${ADA}, 8, null, 'topup', 30, 65, 'second'),
    (${ADA}, 9, null, 'adjustment', 10, 75, 'third');
  update ledger_entries set actor = 'payments' where reference = 'first';
  insert into purchases (account_id, id, pack_slug, pack_name, credits, price, currency, provider, origin, status, reference, amount)
    values (${ADA}, ${C}, 'small', 'Small', 60, 500, 'usd', 'stripe', 'checkout', 'paid', 'first', 500);
  insert into budgets (account_id, id, amount, period, spent, period_start) values
    (${ADA}, ${C}, 50, 'day', 9, now() - interval '1 hour'), (${ADA}, ${D}, 50, 'day', 0, now() + interval '1 second');
  update jobs set budget_ids = case id when ${D} then array[${D}]::uuid[] else array[${C}, ${NO_JOB}]::uuid[] end where id <> ${C};`

/** Adds entries to Ada's, with balances that follow, and her credits and seq with them. */
const append = (...entries: [kind: string, amount: number, job?: string, reference?: string][]) =>
  entries
    .map(
      ([kind, amount, job = 'null', reference = 'null']) => `
      update accounts set credits = credits + ${amount}, seq = seq + 1 where id = ${ADA};
      insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after, reference)
      select id, seq, ${job}, '${kind}', ${amount}, credits, ${reference} from accounts where id = ${ADA};`,
    )
    .join('')

const REFUND_OF_C = `'refund:${C.replaceAll("'", '')}'`
const NO_ACCOUNT = `'00000000-0000-4000-8000-00000000dead'`
const ORPHANS = "every job and every entry has its account, and a job's entry its job"

const BOUGHT = 'each paid purchase has one equal topup, and the reverse'
const REFUNDED = "a job's refunds are the entries that name it, and never exceed its cost"
const GIVEN_BACK = 'a purchase has given back what its refunds took, and never more than it gave'

const SPENT = 'what a budget has spent in its period is what the jobs of that hold and cost'

/** Damage that one check alone can see, because everything else is made to fit. */
const DAMAGE: [check: string, how: string, sql: string, violations: number, also?: string][] = [
  [SPENT, 'more is spent than jobs have taken', `update budgets set spent = spent + 1`, 2],
  [
    SPENT,
    'a job of the period before counts',
    `update jobs set created_at = now() + interval '2 seconds' where id = ${D}`,
    1,
  ],
  [SPENT, 'a job is forgotten', `update jobs set budget_ids = null where id = ${A}`, 1],
  [
    'credits equal the sum of the entries',
    'credits moved from one account to another without entries',
    `update accounts set credits = credits - 1 where id = ${ADA}; update accounts set credits = credits + 1 where id = ${GRACE}`,
    2,
  ],
  [
    'every balance follows from the one before, without gaps',
    'a balance that does not follow',
    `update ledger_entries set balance_after = 0 where account_id = ${ADA} and seq = 5`,
    2,
  ],
  [
    'every balance follows from the one before, without gaps',
    'a gap in seq',
    `update ledger_entries set seq = 10 where account_id = ${ADA} and seq = 9; update accounts set seq = 10 where id = ${ADA}`,
    1,
  ],
  [
    'every balance follows from the one before, without gaps',
    'an account whose seq is not that of its last entry',
    `update accounts set seq = 12 where id = ${ADA}`,
    1,
  ],
  [
    'held equals what the started jobs reserve',
    'a hold moved to somebody else',
    `update accounts set held = held - 1 where id = ${ADA}; update accounts set held = held + 1 where id = ${GRACE}`,
    2,
  ],
  [
    'a started job has taken what it reserves',
    'two holds that took of each other',
    `update jobs set reserved = 5 where id = ${A}; update jobs set reserved = 4 where id = ${B}`,
    2,
  ],
  [
    'an ended job has taken what it cost',
    'two costs that took of each other',
    `update jobs set actual_cost = 5 where id = ${C}; update jobs set actual_cost = 11 where id = ${D}`,
    2,
  ],
  [
    'a job has each kind of entry once, and never both refund and overage',
    'a refund in two pieces',
    `update jobs set actual_cost = 3 where id = ${C}; ${append(['job_refund', 1, C])}`,
    1,
  ],
  [
    'a job has each kind of entry once, and never both refund and overage',
    'a refund and an overage',
    `update jobs set actual_cost = 5 where id = ${C}; ${append(['job_overage', -1, C])}`,
    1,
  ],
  [
    'no job was reserved below zero',
    'a job reserved before the credits came',
    `update ledger_entries set seq = seq + 100 where account_id = ${ADA};
     update ledger_entries set seq = case seq when 102 then 1 when 101 then 2 else seq - 100 end where account_id = ${ADA};
     update ledger_entries set balance_after = -4 where account_id = ${ADA} and seq = 1;
     update ledger_entries set balance_after = 56 where account_id = ${ADA} and seq = 2`,
    1,
  ],
  [
    'each grant has one equal starter entry, and the reverse',
    'a grant of another amount than its entry',
    `update app_grants set credits = 21`,
    1,
  ],
  [
    'each grant has one equal starter entry, and the reverse',
    'a grant without an entry, and an entry without a grant',
    `update app_grants set app_slug = 'audio'`,
    2,
  ],
  [
    'over all accounts, credits and holds equal what was given less what jobs cost',
    'an entry of a job that does not exist',
    append(['job_overage', -1, NO_JOB]),
    1,
    ORPHANS,
  ],
  [ORPHANS, 'entries of a job that does not exist', append(['job_reserve', -1, NO_JOB], ['job_release', 1, NO_JOB]), 1],
  [
    ORPHANS,
    'a job of an account that does not exist',
    `insert into jobs (account_id, id, app_slug, action, status, reserved, expires_at)
      values (${NO_ACCOUNT}, ${NO_JOB}, 'video', 'render', 'failed', 0, now())`,
    1,
  ],
  [
    ORPHANS,
    'entries of an account that does not exist',
    `insert into ledger_entries (account_id, seq, kind, amount, balance_after) values
      (${NO_ACCOUNT}, 1, 'topup', 5, 5), (${NO_ACCOUNT}, 2, 'adjustment', -5, 0)`,
    1,
  ],
  ['no entry is zero, and no reference stands twice in an account', 'an entry of zero', append(['adjustment', 0]), 1],
  [
    'no entry is zero, and no reference stands twice in an account',
    'a payment that counted twice',
    append(['topup', 30, 'null', `'second'`]),
    1,
  ],
  [REFUNDED, 'a refund that no job knows', append(['adjustment', 2, 'null', REFUND_OF_C]), 1],
  [REFUNDED, 'a job that knows of a refund without an entry', `update jobs set refunded = 1 where id = ${C}`, 1],
  [
    REFUNDED,
    'more given back than the job cost',
    `${append(['adjustment', 90, 'null', REFUND_OF_C])} update jobs set refunded = 90 where id = ${C}`,
    1,
  ],
  [BOUGHT, 'a purchase of more credits than its entry', 'update purchases set credits = 61', 1],
  [BOUGHT, 'a purchase without an entry, and an entry without a purchase', `update purchases set reference = 'x'`, 2],
  [
    GIVEN_BACK,
    'credits taken for a refund that no purchase knows',
    append(['topup_refund', -5, 'null', `'stripe:re_1'`]),
    1,
  ],
  [GIVEN_BACK, 'a purchase that says more is taken than its refunds', 'update purchases set taken_back = 5', 1],
  [
    GIVEN_BACK,
    'more taken back than was bought',
    `${append(['topup_refund', -70, 'null', `'stripe:re_1'`], ['topup_reinstated', 5, 'null', `'stripe:re_1:2'`])}
    update purchases set taken_back = 65, refunds = '[{"id": "re_1", "amount": 541, "credits": 65, "entries": 2}]'`,
    1,
  ],
]

/** A bearer token: it outlives its account, which the test takes away. */
async function administrator(app: App) {
  const signin = await app.inject({ method: 'POST', url: '/signin', payload: { email: 'admin@example.com' } })
  const cookie = signin.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  const { token } = (await app.inject({ url: '/api/sessionToken', headers: { cookie } })).json()
  return { authorization: `Bearer ${token}` }
}

t.test('each check reports what it is there for, and nothing else does', async (t) => {
  const database = await freshDatabase()
  t.teardown(database.drop)
  const config = readConfig({ LOG_LEVEL: 'silent', DATABASE_URL: database.url, DATABASE_POOL_SIZE: '2' })
  const rethrow = (error: Error) => {
    throw error
  }
  const db = await connect(config.database, { lostConnection: rethrow, lostFolder: rethrow })
  t.teardown(() => db.destroy())
  const app = await buildApp(config, db)
  t.teardown(() => app.close())
  const headers = await administrator(app)

  // Triggers, constraints and unique indexes refuse all of this: they have to go first.
  const run = (text: string) => query(database.url, text)
  const refusing = `select format('alter table %s drop constraint %I', conrelid::regclass, conname) as text from pg_constraint
      where conrelid = any ('{accounts, app_grants, jobs, ledger_entries, purchases}'::regclass[]) and contype in ('c', 'f')
    union all select format('drop index %s', indexrelid::regclass) from pg_index
      where indrelid = any ('{jobs, ledger_entries}'::regclass[]) and indisunique and not indisprimary
    union all select format('alter table %s disable trigger %I', tgrelid::regclass, tgname) from pg_trigger
      where tgrelid = 'ledger_entries'::regclass and not tgisinternal`
  for (const { text } of await query<{ text: string }>(database.url, refusing)) await run(text)

  const report = async () => (await app.inject({ url: '/api/admin/verify', headers })).json()
  const broken = async () => {
    const { ok, checks } = await report()
    const bad = checks.filter(({ violations }: { violations: number }) => violations > 0)
    t.equal(ok, bad.length === 0)
    return bad as { name: string; violations: number; examples: object[] }[]
  }

  const reported = new Set<string>()
  for (const [name, how, damage, violations, also] of DAMAGE) {
    await run(RIGHT)
    t.strictSame(await broken(), [], 'right before')
    await run(damage)
    const all = await broken()
    t.strictSame(all.map((check) => check.name).sort(), [name, ...(also ? [also] : [])].sort(), `${how}: only that`)
    const bad = all.find((check) => check.name === name)
    t.match(bad, { violations, ...EXPLANATIONS[name as Invariant] }, how)
    t.equal(bad?.examples.length, violations, how)
    reported.add(name)
  }
  const { checks } = await report()
  t.strictSame(checks.map((check: { name: string }) => check.name).sort(), [...reported].sort(), 'every check was seen')
  t.strictSame(Object.keys(EXPLANATIONS).sort(), [...reported].sort(), 'and every one is explained')

  await run(`${RIGHT} update ledger_entries set balance_after = 1000000 + seq * 7;`)
  await run(
    `insert into accounts (id, clerk_id, seq) select gen_random_uuid(), 'user_' || n, 1 from generate_series(1, 50) n`,
  )
  const [many] = await broken()
  t.equal(many?.violations, 60)
  t.equal(many?.examples.length, 10, 'of many violations the first are named')
})
