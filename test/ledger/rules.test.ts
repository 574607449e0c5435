import fc from 'fast-check'
import t from 'tap'
import { apply, MAX_CREDITS, MAX_UNREGISTERED_APPS } from '../../src/ledger/rules.ts'
import {
  type Account,
  type Entry,
  follow,
  type Grant,
  type Job,
  type Outcome,
  type Request,
  type State,
} from '../../src/ledger/state.ts'

const NOW = 1_800_000_000_000
const DAY = 86_400_000
const account = (credits = 20, more: Partial<Account> = {}): Account => ({
  ...{ id: 'ada', credits, held: 0, seq: 7, closed: false },
  ...more,
})
const job = (more: Partial<Job> = {}): Job => ({
  ...{ id: 'job', app_slug: 'video', action: 'render', status: 'started', reserved: 5, actual_cost: 0, metadata: null },
  ...{ failure_reason: null, expires_at: NOW + DAY, created_at: NOW - DAY, updated_at: NOW - DAY, ttl_seconds: 600 },
  ...{ requested_cost: null, refunded: 0, max_overage: null, max_overage_percent: null },
  ...{ idempotency_key: null, request_hash: null, keyed: false, merge: null, oversized: false, budget_ids: null },
  ...{ token_id: null, grant_id: null },
  ...more,
})
const state = (more: Partial<Omit<State, 'jobs'>> & { jobs?: Job[] } = {}): State => {
  const { jobs = [], ...rest } = more
  return {
    ...{ now: NOW, account: account(), keys: new Map(), overdue: [], apps: new Map(), grants: null },
    ...{ entries: new Map(), purchases: new Map(), budgets: new Map(), counted: new Map() },
    ...rest,
    jobs: new Map(jobs.map((each) => [each.id, each])),
  }
}
const reserve = (cost: number, more: object = {}): Request => ({
  ...{ type: 'reserve', job_id: 'new', app: 'video', action: 'render', cost, metadata: '{"a":1}' },
  ...{ idempotency_key: null, request_hash: null, ttl_seconds: 60, ttl_without_key: false },
  ...{ token_id: null, grant_id: null, budget_ids: [] },
  ...more,
})
const complete = (actual_cost: number, more: object = {}): Request => ({
  ...{ type: 'complete', job_id: 'job', key_of: null, actual_cost, metadata: null },
  ...more,
})
const fail = (refund: boolean, more: object = {}): Request => ({
  ...{ type: 'fail', job_id: 'job', key_of: null, refund, metadata: null },
  ...more,
})
const beat = (ttl_seconds: number | null, more: object = {}): Request => ({
  ...{ type: 'heartbeat', job_id: 'job', key_of: null, ttl_seconds, default_seconds: 999 },
  ...more,
})
const adjust = (amount: number, more: object = {}): Request => ({
  ...{ type: 'adjust', amount, kind: 'topup', reference: 'r', reason: 'bought', actor: 'admin', allow_negative: false },
  ...more,
})
const refund = (amount: number | null, part = 1): Request => ({
  ...{ type: 'refund', job_id: JOB, amount, part, reason: 'black', actor: 'admin' },
})
const entry = (more: Partial<Entry> = {}): Entry => ({
  ...{ seq: 3, job_id: null, kind: 'topup', amount: 5, balance_after: 5, reference: 'r', reason: 'bought' },
  ...{ actor: 'admin', created_at: NOW },
  ...more,
})

/** What an outcome did, in short: the refusal or the repeat, the balance, and its entries. */
const said = ({ refusal, repeated, account: { credits, held, seq }, entries }: Outcome) => [
  refusal?.code ?? (repeated ? 'repeated' : 'done'),
  [credits, held, seq],
  entries.map(({ kind, amount }) => `${kind} ${amount}`),
]
const JOB = '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'
const SPENT: Partial<Job> = { id: JOB, status: 'completed', actual_cost: 8 }
const refunds = (...amounts: number[]) => ({
  jobs: [job({ ...SPENT, refunded: amounts.reduce((sum, amount) => sum + amount, 0) })],
  entries: new Map(
    amounts.map((amount, n) => {
      const reference = `refund:${JOB}${n > 0 ? `:${n + 1}` : ''}`
      return [reference, entry({ kind: 'adjustment', amount, reference })]
    }),
  ),
})
const CAPPED: Partial<Job> = { status: 'completed', actual_cost: 8, requested_cost: 99 }
const EXPIRED: Partial<Job> = { status: 'failed', failure_reason: 'expired', expires_at: NOW - DAY }
const ENDED_BY_CLOSING: Partial<Job> = { status: 'failed', failure_reason: 'account_closed' }
const CLOSED = { account: account(20, { held: 5, closed: true }) }
const HELD = { account: account(20, { held: 5 }) }
const KEYED_APP = { apps: new Map([['video', { starter_credits: 0, keyed: true }]]) }
const key = (more: Partial<Job> = {}) => new Map([['k', job({ idempotency_key: 'k', request_hash: 'h', ...more })]])
const ASKED = { idempotency_key: 'k', request_hash: 'h' }
const NOTHING = [[20, 0, 7], []]
const UNTOUCHED = [[20, 5, 7], []]
const patch = (too_large: boolean, same: boolean) => ({ merge: { text: '{"b":2}', too_large, same } })

const TABLE: [what: string, state: State, request: Request, said: unknown][] = [
  ['a reserve', state(), reserve(5), ['done', [15, 5, 8], ['job_reserve -5']]],
  ['a reserve of all', state(), reserve(20), ['done', [0, 20, 8], ['job_reserve -20']]],
  ['one too many', state(), reserve(21), ['insufficient_credits', ...NOTHING]],
  ['a reserve of nothing', state(), reserve(0), ['done', [20, 0, 7], []]],
  ['nothing below zero', state({ account: account(-1) }), reserve(0), ['insufficient_credits', [-1, 0, 7], []]],
  ['a closed account', state({ account: account(20, { closed: true }) }), reserve(5), ['account_closed', ...NOTHING]],
  ['its own effect', state({ jobs: [job({ id: 'new' })] }), reserve(5), ['repeated', ...NOTHING]],
  [
    'its own effect, closed since',
    state({ ...CLOSED, jobs: [job({ id: 'new' })] }),
    reserve(5),
    ['repeated', ...UNTOUCHED],
  ],
  [
    'a key whose job has ended',
    state({ keys: key({ status: 'completed', actual_cost: 3 }) }),
    reserve(5, ASKED),
    ['key_of_ended_job', ...NOTHING],
  ],
  [
    'a key of another request whose job has ended',
    state({ keys: key({ status: 'failed', request_hash: 'x' }) }),
    reserve(5, ASKED),
    ['idempotency_key_reused', ...NOTHING],
  ],
  ['a key again', state({ keys: key() }), reserve(50, ASKED), ['repeated', ...NOTHING]],
  ['a key of a closed account', state({ ...CLOSED, keys: key() }), reserve(50, ASKED), ['repeated', ...UNTOUCHED]],
  [
    'a key of another request',
    state({ keys: key({ request_hash: 'x' }) }),
    reserve(5, ASKED),
    ['idempotency_key_reused', ...NOTHING],
  ],
  [
    'a new key',
    state({ keys: key() }),
    reserve(5, { ...ASKED, idempotency_key: 'l' }),
    ['done', [15, 5, 8], ['job_reserve -5']],
  ],
  [
    'a ttl without the key',
    state(KEYED_APP),
    reserve(5, { ttl_without_key: true }),
    ['settle_key_required', ...NOTHING],
  ],
  ['no ttl without the key', state(KEYED_APP), reserve(5), ['done', [15, 5, 8], ['job_reserve -5']]],
  [
    'a ttl at an app without one',
    state(),
    reserve(5, { ttl_without_key: true }),
    ['done', [15, 5, 8], ['job_reserve -5']],
  ],

  ['complete below', state({ ...HELD, jobs: [job()] }), complete(3), ['done', [22, 0, 8], ['job_refund 2']]],
  ['complete at', state({ ...HELD, jobs: [job()] }), complete(5), ['done', [20, 0, 7], []]],
  ['complete above', state({ ...HELD, jobs: [job()] }), complete(8), ['done', [17, 0, 8], ['job_overage -3']]],
  ['complete below zero', state({ ...HELD, jobs: [job()] }), complete(30), ['done', [-5, 0, 8], ['job_overage -25']]],
  [
    'complete an overdue one',
    state({ ...HELD, jobs: [job({ expires_at: NOW - 30 * DAY })] }),
    complete(3),
    ['done', [22, 0, 8], ['job_refund 2']],
  ],
  ['complete none', state(), complete(3), ['job_not_found', ...NOTHING]],
  ['complete when closed', state({ ...CLOSED, jobs: [job()] }), complete(3), ['account_closed', ...UNTOUCHED]],
  [
    'complete without the key',
    state({ ...HELD, jobs: [job({ keyed: true })] }),
    complete(3),
    ['settle_key_required', ...UNTOUCHED],
  ],
  [
    'complete with the key',
    state({ ...HELD, jobs: [job({ keyed: true })] }),
    complete(3, { key_of: 'video' }),
    ['done', [22, 0, 8], ['job_refund 2']],
  ],
  [
    "complete with another app's",
    state({ ...HELD, jobs: [job()] }),
    complete(3, { key_of: 'audio' }),
    ['job_not_found', ...UNTOUCHED],
  ],
  [
    'complete again',
    state({ jobs: [job({ status: 'completed', actual_cost: 3 })] }),
    complete(3),
    ['repeated', ...NOTHING],
  ],
  [
    'complete again, closed since',
    state({ ...CLOSED, jobs: [job({ status: 'completed', actual_cost: 3 })] }),
    complete(3),
    ['repeated', ...UNTOUCHED],
  ],
  [
    'complete otherwise',
    state({ jobs: [job({ status: 'completed', actual_cost: 3 })] }),
    complete(4),
    ['job_already_ended', ...NOTHING],
  ],
  [
    'complete what failed',
    state({ jobs: [job({ status: 'failed' })] }),
    complete(0),
    ['job_already_ended', ...NOTHING],
  ],
  [
    'again without the key',
    state({ jobs: [job({ keyed: true, status: 'completed', actual_cost: 3 })] }),
    complete(3),
    ['settle_key_required', ...NOTHING],
  ],
  [
    'posted again without the key',
    state({ jobs: [job({ keyed: true, status: 'completed', actual_cost: 3 })] }),
    complete(3, { reposted: true }),
    ['repeated', ...NOTHING],
  ],
  [
    'again with the same metadata',
    state({ jobs: [job({ status: 'completed', actual_cost: 3, ...patch(false, true) })] }),
    complete(3),
    ['repeated', ...NOTHING],
  ],
  [
    'again with too much',
    state({ jobs: [job({ status: 'completed', actual_cost: 3, ...patch(true, false) })] }),
    complete(3),
    ['repeated', ...NOTHING],
  ],
  [
    'again with other metadata',
    state({ jobs: [job({ status: 'completed', actual_cost: 3, ...patch(false, false) })] }),
    complete(3),
    ['job_already_ended', ...NOTHING],
  ],
  ['complete late', state({ jobs: [job(EXPIRED)] }), complete(8), ['done', [12, 0, 8], ['job_late_charge -8']]],
  [
    'complete late, below zero',
    state({ jobs: [job(EXPIRED)] }),
    complete(30),
    ['done', [-10, 0, 8], ['job_late_charge -30']],
  ],
  ['complete late, at nothing', state({ jobs: [job(EXPIRED)] }), complete(0), ['done', [20, 0, 7], []]],
  ['complete late, closed', state({ ...CLOSED, jobs: [job(EXPIRED)] }), complete(8), ['account_closed', ...UNTOUCHED]],
  [
    'complete late, without the key',
    state({ jobs: [job({ ...EXPIRED, keyed: true })] }),
    complete(8),
    ['settle_key_required', ...NOTHING],
  ],
  [
    'just in time',
    state({ jobs: [job({ ...EXPIRED, expires_at: NOW - 7 * DAY + 1 })] }),
    complete(8),
    ['done', [12, 0, 8], ['job_late_charge -8']],
  ],
  [
    'too late',
    state({ jobs: [job({ ...EXPIRED, expires_at: NOW - 7 * DAY })] }),
    complete(8),
    ['job_already_ended', ...NOTHING],
  ],
  [
    'late again',
    state({ jobs: [job({ ...EXPIRED, status: 'completed', actual_cost: 8 })] }),
    complete(8),
    ['repeated', ...NOTHING],
  ],
  [
    'late otherwise',
    state({ jobs: [job({ ...EXPIRED, status: 'completed', actual_cost: 8 })] }),
    complete(7),
    ['job_already_ended', ...NOTHING],
  ],
  [
    'an overage out of range',
    state({ account: account(-1, { held: 5 }), jobs: [job()] }),
    complete(MAX_CREDITS),
    ['done', [4 - MAX_CREDITS, 0, 8], [`job_overage ${5 - MAX_CREDITS}`]],
  ],
  [
    'one more',
    state({ account: account(-6, { held: 5 }), jobs: [job()] }),
    complete(MAX_CREDITS),
    ['balance_out_of_range', [-6, 5, 7], []],
  ],
  [
    'a late charge out of range',
    state({ account: account(-1), jobs: [job(EXPIRED)] }),
    complete(MAX_CREDITS),
    ['balance_out_of_range', [-1, 0, 7], []],
  ],

  ['fail', state({ ...HELD, jobs: [job()] }), fail(true), ['done', [25, 0, 8], ['job_release 5']]],
  ['fail without a refund', state({ ...HELD, jobs: [job()] }), fail(false), ['done', [20, 0, 7], []]],
  ['fail what held nothing', state({ jobs: [job({ reserved: 0 })] }), fail(true), ['done', ...NOTHING]],
  ['fail again', state({ jobs: [job({ status: 'failed' })] }), fail(true), ['repeated', ...NOTHING]],
  [
    'fail again without a refund',
    state({ jobs: [job({ status: 'failed', actual_cost: 5 })] }),
    fail(false),
    ['repeated', ...NOTHING],
  ],
  ['fail otherwise', state({ jobs: [job({ status: 'failed' })] }), fail(false), ['job_already_ended', ...NOTHING]],
  [
    'fail otherwise, the reverse',
    state({ jobs: [job({ status: 'failed', actual_cost: 5 })] }),
    fail(true),
    ['job_already_ended', ...NOTHING],
  ],
  [
    'fail what was completed',
    state({ jobs: [job({ status: 'completed' })] }),
    fail(true),
    ['job_already_ended', ...NOTHING],
  ],
  ['fail what expired', state({ jobs: [job(EXPIRED)] }), fail(true), ['repeated', ...NOTHING]],
  ['fail what expired, without', state({ jobs: [job(EXPIRED)] }), fail(false), ['job_already_ended', ...NOTHING]],
  [
    'fail what expired and held nothing, without',
    state({ jobs: [job({ ...EXPIRED, reserved: 0 })] }),
    fail(false),
    ['job_already_ended', ...NOTHING],
  ],
  [
    'fail without the key',
    state({ ...HELD, jobs: [job({ keyed: true })] }),
    fail(true),
    ['settle_key_required', ...UNTOUCHED],
  ],
  [
    'fail posted again without the key',
    state({ jobs: [job({ keyed: true, status: 'failed' })] }),
    fail(true, { reposted: true }),
    ['repeated', ...NOTHING],
  ],
  [
    "fail with another app's",
    state({ ...HELD, jobs: [job()] }),
    fail(true, { key_of: 'audio' }),
    ['job_not_found', ...UNTOUCHED],
  ],
  ['fail when closed', state({ ...CLOSED, jobs: [job()] }), fail(true), ['account_closed', ...UNTOUCHED]],

  [
    'expire',
    state({ ...HELD, jobs: [job({ expires_at: NOW })] }),
    { type: 'expire', job_id: 'job' },
    ['done', [25, 0, 8], ['job_expire 5']],
  ],
  [
    'expire too early',
    state({ ...HELD, jobs: [job({ expires_at: NOW + 1 })] }),
    { type: 'expire', job_id: 'job' },
    ['repeated', ...UNTOUCHED],
  ],
  [
    'expire what ended',
    state({ jobs: [job({ ...EXPIRED })] }),
    { type: 'expire', job_id: 'job' },
    ['repeated', ...NOTHING],
  ],
  [
    'expire when closed',
    state({ ...CLOSED, jobs: [job({ expires_at: NOW })] }),
    { type: 'expire', job_id: 'job' },
    ['done', [25, 0, 8], ['job_release 5']],
  ],
  ['expire none', state(), { type: 'expire', job_id: 'job' }, ['repeated', ...NOTHING]],

  ['a heartbeat', state({ ...HELD, jobs: [job()] }), beat(60), ['done', ...UNTOUCHED]],
  [
    'a heartbeat of what ended',
    state({ jobs: [job({ status: 'failed' })] }),
    beat(60),
    ['job_already_ended', ...NOTHING],
  ],
  [
    'a heartbeat without the key',
    state({ ...HELD, jobs: [job({ keyed: true })] }),
    beat(60),
    ['settle_key_required', ...UNTOUCHED],
  ],
  [
    "a heartbeat with another app's",
    state({ ...HELD, jobs: [job()] }),
    beat(60, { key_of: 'audio' }),
    ['job_not_found', ...UNTOUCHED],
  ],
  ['a heartbeat when closed', state({ ...CLOSED, jobs: [job()] }), beat(60), ['account_closed', ...UNTOUCHED]],

  ['credits', state(), adjust(5), ['done', [25, 0, 8], ['topup 5']]],
  ['credits taken', state(), adjust(-20, { kind: 'adjustment' }), ['done', [0, 0, 8], ['adjustment -20']]],
  ['too many taken', state(), adjust(-21), ['would_go_negative', ...NOTHING]],
  ['too many taken on purpose', state(), adjust(-21, { allow_negative: true }), ['done', [-1, 0, 8], ['topup -21']]],
  ['given to one who owes', state({ account: account(-9) }), adjust(1), ['done', [-8, 0, 8], ['topup 1']]],
  ['given again', state({ entries: new Map([['r', entry()]]) }), adjust(5), ['repeated', ...NOTHING]],
  [
    'given again, closed since',
    state({ ...CLOSED, entries: new Map([['r', entry()]]) }),
    adjust(5),
    ['repeated', ...UNTOUCHED],
  ],
  ['another amount', state({ entries: new Map([['r', entry()]]) }), adjust(6), ['reference_reused', ...NOTHING]],
  [
    'another kind',
    state({ entries: new Map([['r', entry({ kind: 'admin_grant' })]]) }),
    adjust(5),
    ['reference_reused', ...NOTHING],
  ],
  [
    'another reason',
    state({ entries: new Map([['r', entry({ reason: 'x' })]]) }),
    adjust(5),
    ['reference_reused', ...NOTHING],
  ],
  ['given when closed', state(CLOSED), adjust(5), ['account_closed', ...UNTOUCHED]],
  [
    'the largest',
    state({ account: account(0, { held: 5 }) }),
    adjust(MAX_CREDITS - 5),
    ['done', [MAX_CREDITS - 5, 5, 8], [`topup ${MAX_CREDITS - 5}`]],
  ],
  [
    'larger',
    state({ account: account(0, { held: 5 }) }),
    adjust(MAX_CREDITS - 4),
    ['balance_out_of_range', [0, 5, 7], []],
  ],
  [
    'the smallest',
    state({ account: account(0) }),
    adjust(-MAX_CREDITS, { allow_negative: true }),
    ['done', [-MAX_CREDITS, 0, 8], [`topup ${-MAX_CREDITS}`]],
  ],
  [
    'smaller',
    state({ account: account(-1) }),
    adjust(-MAX_CREDITS, { allow_negative: true }),
    ['balance_out_of_range', [-1, 0, 7], []],
  ],

  ['a refund of all', state({ jobs: [job(SPENT)] }), refund(null), ['done', [28, 0, 8], ['adjustment 8']]],
  ['a refund of a part', state({ jobs: [job(SPENT)] }), refund(3), ['done', [23, 0, 8], ['adjustment 3']]],
  ['a refund of more', state({ jobs: [job(SPENT)] }), refund(9), ['refund_exceeds_cost', ...NOTHING]],
  ['a refund again', state(refunds(3)), refund(3), ['repeated', ...NOTHING]],
  ['a refund of all again', state(refunds(8)), refund(null), ['repeated', ...NOTHING]],
  ['another refund of the part', state(refunds(3)), refund(4), ['reference_reused', ...NOTHING]],
  ['a further part', state(refunds(3)), refund(5, 2), ['done', [25, 0, 8], ['adjustment 5']]],
  ['what is left', state(refunds(3)), refund(null, 2), ['done', [25, 0, 8], ['adjustment 5']]],
  ['more than is left', state(refunds(3)), refund(6, 2), ['refund_exceeds_cost', ...NOTHING]],
  ['what is left of nothing', state(refunds(3, 5)), refund(null, 3), ['refund_exceeds_cost', ...NOTHING]],
  ['what was left again', state(refunds(3, 5)), refund(null, 2), ['repeated', ...NOTHING]],
  ['a refund of no job', state(), refund(1), ['job_not_found', ...NOTHING]],
  [
    'a refund of a running job',
    state({ ...HELD, jobs: [job({ id: JOB })] }),
    refund(1),
    ['job_not_ended', ...UNTOUCHED],
  ],
  [
    'a refund of what cost nothing',
    state({ jobs: [job({ ...SPENT, actual_cost: 0 })] }),
    refund(null),
    ['refund_exceeds_cost', ...NOTHING],
  ],
  ['a refund when closed', state({ ...CLOSED, jobs: [job(SPENT)] }), refund(3), ['account_closed', ...UNTOUCHED]],
  ['a refund again, closed since', state({ ...CLOSED, ...refunds(3) }), refund(3), ['repeated', ...UNTOUCHED]],
  [
    'a refund without room',
    state({ account: account(MAX_CREDITS), jobs: [job(SPENT)] }),
    refund(3),
    ['balance_out_of_range', [MAX_CREDITS, 0, 7], []],
  ],

  [
    'within a cap',
    state({ ...HELD, jobs: [job({ max_overage: 3 })] }),
    complete(8),
    ['done', [17, 0, 8], ['job_overage -3']],
  ],
  [
    'beyond a cap',
    state({ ...HELD, jobs: [job({ max_overage: 3 })] }),
    complete(99),
    ['done', [17, 0, 8], ['job_overage -3']],
  ],
  ['a cap of nothing', state({ ...HELD, jobs: [job({ max_overage: 0 })] }), complete(99), ['done', [20, 0, 7], []]],
  [
    'below a cap',
    state({ ...HELD, jobs: [job({ max_overage: 0 })] }),
    complete(3),
    ['done', [22, 0, 8], ['job_refund 2']],
  ],
  [
    'beyond a share',
    state({ ...HELD, jobs: [job({ max_overage_percent: 50 })] }),
    complete(99),
    ['done', [18, 0, 8], ['job_overage -2']],
  ],
  [
    'late beyond a cap',
    state({ jobs: [job({ ...EXPIRED, max_overage: 3 })] }),
    complete(99),
    ['done', [12, 0, 8], ['job_late_charge -8']],
  ],
  ['capped again', state({ jobs: [job({ ...CAPPED, max_overage: 3 })] }), complete(99), ['repeated', ...NOTHING]],
  ['capped again at another cap', state({ jobs: [job(CAPPED)] }), complete(99), ['repeated', ...NOTHING]],
  ['what a cap charged', state({ jobs: [job(CAPPED)] }), complete(8), ['job_already_ended', ...NOTHING]],

  ['close', state(), { type: 'close' }, ['done', ...NOTHING]],
  ['close with a hold', state({ ...HELD, jobs: [job()] }), { type: 'close' }, ['done', [25, 0, 8], ['job_release 5']]],
  [
    'close with an overdue hold',
    state({ ...HELD, jobs: [job({ expires_at: NOW - 1 })] }),
    { type: 'close' },
    ['done', [25, 0, 8], ['job_release 5']],
  ],
  ['close after a job', state({ jobs: [job({ status: 'failed' })] }), { type: 'close' }, ['done', ...NOTHING]],
  ['close further', state({ ...CLOSED, jobs: [job()] }), { type: 'close' }, ['done', [25, 0, 8], ['job_release 5']]],
  [
    'complete what closing ended',
    state({ ...CLOSED, jobs: [job(ENDED_BY_CLOSING)] }),
    complete(0),
    ['account_closed', ...UNTOUCHED],
  ],
  [
    'fail what closing ended',
    state({ ...CLOSED, jobs: [job(ENDED_BY_CLOSING)] }),
    fail(true),
    ['account_closed', ...UNTOUCHED],
  ],
  [
    'a heartbeat of what closing ended',
    state({ ...CLOSED, jobs: [job(ENDED_BY_CLOSING)] }),
    beat(60),
    ['account_closed', ...UNTOUCHED],
  ],
  ['close again', state(CLOSED), { type: 'close' }, ['repeated', ...UNTOUCHED]],
]

t.test('what becomes of each operation', (t) => {
  for (const [what, before, request, expected] of TABLE) {
    const copy = structuredClone(before)
    const outcome = apply(before, request)
    t.strictSame(said(outcome), expected, what)
    t.strictSame(before, copy, `${what}: the state is left as it is`)
    for (const [n, { balance_after, seq, created_at, job_id }] of outcome.entries.entries()) {
      t.equal(seq, before.account.seq + 1 + n, what)
      t.equal(created_at, NOW)
      if (n === outcome.entries.length - 1) t.equal(balance_after, outcome.account.credits, what)
      t.equal(job_id !== null, !['adjust', 'refund'].includes(request.type), what)
    }
  }
  t.end()
})

t.test('the row of a job', (t) => {
  const made = apply(state(), reserve(5, { ...ASKED, ttl_seconds: 90 })).created
  t.match(made, {
    id: 'new',
    status: 'started',
    reserved: 5,
    actual_cost: 0,
    metadata: '{"a":1}',
    ...ASKED,
    ttl_seconds: 90,
  })
  t.match(made, { expires_at: NOW + 90_000, created_at: NOW, updated_at: NOW, failure_reason: null })
  const ended = (request: Request, more: Partial<Job> = {}) => {
    const { changed, job: answered } = apply(state({ ...HELD, jobs: [job(more)] }), request)
    t.equal(changed.length, 1)
    if (request.type !== 'close') t.equal(changed[0], answered)
    return changed[0]
  }
  t.match(ended(complete(3)), {
    status: 'completed',
    actual_cost: 3,
    metadata: null,
    updated_at: NOW,
    failure_reason: null,
  })
  t.match(ended(complete(3), patch(false, false)), { metadata: '{"b":2}' })
  t.match(ended(complete(3), { metadata: '{"a":1}', ...patch(true, false) }), { metadata: '{"a":1}' })
  t.match(ended(complete(8), EXPIRED), { status: 'completed', actual_cost: 8, failure_reason: 'expired' })
  t.match(ended(complete(99), { max_overage: 3 }), { actual_cost: 8, requested_cost: 99 })
  t.match(ended(complete(8), { max_overage: 3 }), { actual_cost: 8, requested_cost: null })
  t.match(ended(refund(3), { ...SPENT, refunded: 2 }), { status: 'completed', actual_cost: 8, refunded: 5 })
  t.match(ended(fail(true)), { status: 'failed', actual_cost: 0, failure_reason: null })
  t.match(ended(fail(false)), { status: 'failed', actual_cost: 5, failure_reason: null })
  const overdue = { expires_at: NOW - 1 }
  t.match(ended({ type: 'expire', job_id: 'job' }, overdue), {
    status: 'failed',
    actual_cost: 0,
    failure_reason: 'expired',
  })
  t.match(ended({ type: 'close' }), { status: 'failed', actual_cost: 0, failure_reason: 'account_closed' })
  t.match(ended(beat(60), overdue), { status: 'started', expires_at: NOW + 60_000, updated_at: NOW, reserved: 5 })
  t.match(ended(beat(null), overdue), { expires_at: NOW + 600_000 })
  t.match(ended(beat(null), { ...overdue, ttl_seconds: null }), { expires_at: NOW + 999_000 })
  t.match(ended(beat(60)), { expires_at: NOW + DAY })
  t.end()
})

t.test('overdue holds come back, the largest first, until a reserve is covered or none is left', (t) => {
  const holds = [
    job({ id: 'large', reserved: 7, expires_at: NOW - 1 }),
    job({ id: 'middle', reserved: 3, expires_at: NOW }),
    job({ id: 'small', reserved: 1, expires_at: NOW - 1 }),
  ]
  const short = (credits: number) => state({ account: account(credits, { held: 11 }), jobs: holds, overdue: holds })
  t.strictSame(said(apply(short(2), reserve(9))), ['done', [0, 13, 9], ['job_expire 7', 'job_reserve -9']])
  t.strictSame(said(apply(short(2), reserve(10))), [
    'done',
    [2, 11, 10],
    ['job_expire 7', 'job_expire 3', 'job_reserve -10'],
  ])
  const refused = apply(short(2), reserve(14))
  t.strictSame(said(refused), ['insufficient_credits', [13, 0, 10], ['job_expire 7', 'job_expire 3', 'job_expire 1']])
  t.match(refused.refusal, { required: 14, available: 13 })
  t.equal(refused.changed.length, 3, 'and so they stay')
  t.strictSame(said(apply(short(20), reserve(9))), ['done', [11, 20, 8], ['job_reserve -9']])
  const alive = job({ id: 'large', reserved: 7, expires_at: NOW + 1 })
  const beaten = state({ account: account(2, { held: 7 }), jobs: [alive], overdue: [holds[0] as Job] })
  t.strictSame(
    said(apply(beaten, reserve(9))),
    ['insufficient_credits', [2, 7, 7], []],
    'not where a heartbeat came before',
  )
  const gone = state({ account: account(2), jobs: [job({ ...holds[0], ...EXPIRED })], overdue: [holds[0] as Job] })
  t.strictSame(said(apply(gone, reserve(9))), ['insufficient_credits', [2, 0, 7], []], 'nor twice')
  t.strictSame(said(apply(state({ ...CLOSED, jobs: holds, overdue: holds }), reserve(25))), [
    'account_closed',
    ...UNTOUCHED,
  ])
  t.end()
})

t.test('an app is granted once, and remembered', (t) => {
  const visit: Request = { type: 'visit', app: 'video' }
  const grant = (credits: number, registered = true, app_slug = 'video'): [string, Grant] => [
    app_slug,
    { app_slug, credits, registered },
  ]
  const apps = (starter_credits: number) => ({ apps: new Map([['video', { starter_credits, keyed: false }]]) })
  const seen = (...grants: [string, Grant][]) => ({ grants: new Map(grants) })
  const nothing = seen()
  const many = (n: number, registered: boolean) =>
    seen(...Array.from({ length: n }, (_, i) => grant(0, registered, `app-${i}`)))
  const rows: [string, State, unknown, unknown][] = [
    [
      'granted',
      state({ ...apps(9), ...nothing }),
      ['done', [29, 0, 8], ['starter_grant 9']],
      { credits: 9, app_slug: 'video' },
    ],
    [
      'granted though seen before',
      state({ ...apps(9), ...seen(grant(0)) }),
      ['done', [29, 0, 8], ['starter_grant 9']],
      { credits: 9 },
    ],
    ['granted before', state({ ...apps(12), ...seen(grant(9)) }), ['repeated', ...NOTHING], null],
    ['worth nothing', state({ ...apps(0), ...nothing }), ['done', ...NOTHING], { credits: 0, registered: true }],
    ['worth nothing, seen', state({ ...apps(0), ...seen(grant(0)) }), ['repeated', ...NOTHING], null],
    ['unknown', state(nothing), ['done', ...NOTHING], { credits: 0, registered: false }],
    ['one of many', state(many(MAX_UNREGISTERED_APPS - 1, false)), ['done', ...NOTHING], { credits: 0 }],
    ['one too many', state(many(MAX_UNREGISTERED_APPS, false)), ['repeated', ...NOTHING], null],
    ['registered ones do not count', state(many(MAX_UNREGISTERED_APPS, true)), ['done', ...NOTHING], { credits: 0 }],
    [
      'registered, after many',
      state({ ...apps(0), ...many(MAX_UNREGISTERED_APPS, false) }),
      ['done', ...NOTHING],
      { credits: 0 },
    ],
    [
      'no room',
      state({ ...apps(9), ...nothing, account: account(MAX_CREDITS) }),
      ['repeated', [MAX_CREDITS, 0, 7], []],
      null,
    ],
    ['closed', state({ ...apps(9), ...nothing, ...CLOSED }), ['repeated', ...UNTOUCHED], null],
  ]
  for (const [what, before, expected, row] of rows) {
    const outcome = apply(before, visit)
    t.strictSame(said(outcome), expected, what)
    if (row === null) t.equal(outcome.grant, null, what)
    else t.match(outcome.grant, row as object, what)
  }
  t.equal(apply(state({ ...apps(9), ...nothing }), visit).entries[0]?.reference, 'starter_grant:video')

  const reserves: [string, State, number, unknown, unknown][] = [
    [
      'a first job',
      state({ ...apps(9), ...nothing }),
      5,
      ['done', [24, 5, 9], ['starter_grant 9', 'job_reserve -5']],
      9,
    ],
    [
      'a first job that needs them',
      state({ ...apps(9), ...nothing, account: account(0) }),
      9,
      ['done', [0, 9, 9], ['starter_grant 9', 'job_reserve -9']],
      9,
    ],
    [
      'a first job that is too dear',
      state({ ...apps(9), ...nothing }),
      30,
      ['insufficient_credits', [29, 0, 8], ['starter_grant 9']],
      9,
    ],
    ['a job after many', state({ ...apps(9), ...seen(grant(9)) }), 5, ['done', [15, 5, 8], ['job_reserve -5']], null],
    [
      'a job at an app worth nothing',
      state({ ...apps(0), ...nothing }),
      5,
      ['done', [15, 5, 8], ['job_reserve -5']],
      0,
    ],
    [
      'too dear at an app worth nothing',
      state({ ...apps(0), ...nothing }),
      50,
      ['insufficient_credits', ...NOTHING],
      null,
    ],
    ['a job at an unknown app', state(nothing), 5, ['done', [15, 5, 8], ['job_reserve -5']], null],
    ['not read', state(apps(9)), 5, ['done', [15, 5, 8], ['job_reserve -5']], null],
    ['a first job, closed', state({ ...apps(9), ...nothing, ...CLOSED }), 5, ['account_closed', ...UNTOUCHED], null],
    [
      'a first job without room',
      state({ ...apps(9), ...nothing, account: account(MAX_CREDITS) }),
      5,
      ['done', [MAX_CREDITS - 5, 5, 8], ['job_reserve -5']],
      null,
    ],
  ]
  for (const [what, before, cost, expected, credits] of reserves) {
    const outcome = apply(before, reserve(cost))
    t.strictSame(said(outcome), expected, what)
    t.equal(outcome.grant?.credits ?? null, credits, what)
  }
  t.end()
})

t.test('what apps may want to be told', (t) => {
  const told = (before: State, request: Request) =>
    apply(before, request).ended.map(({ job, account: { credits, held, seq } }) => [
      `${job.id} ${job.status}`,
      [credits, held, seq],
    ])
  const jobs = [job({ expires_at: NOW - 1 })]
  t.strictSame(told({ ...state({ ...HELD, jobs }) }, complete(8)), [['job completed', [17, 0, 8]]])
  t.strictSame(told(state({ jobs: [job(EXPIRED)] }), complete(8)), [['job completed', [12, 0, 8]]])
  t.strictSame(told(state({ ...HELD, jobs }), fail(true)), [['job failed', [25, 0, 8]]])
  t.strictSame(told(state({ ...HELD, jobs }), { type: 'expire', job_id: 'job' }), [['job failed', [25, 0, 8]]])
  const two = [job({ id: 'a' }), job({ id: 'b', reserved: 2 })]
  t.strictSame(told(state({ account: account(20, { held: 7 }), jobs: two }), { type: 'close' }), [
    ['a failed', [25, 2, 8]],
    ['b failed', [27, 0, 9]],
  ])
  for (const quiet of [reserve(5), reserve(50), adjust(-5), complete(1), fail(true)])
    t.strictSame(told(state(), quiet), [])
  t.strictSame(told(state({ ...HELD, jobs }), beat(60)), [])
  t.end()
})

t.test('a job that an earlier operation of the batch expires still takes the metadata of its own ending', (t) => {
  const overdue = job({ expires_at: NOW - 1, metadata: '{"a":1}', ...patch(false, false) })
  const before = state({ account: account(0, { held: 5 }), jobs: [overdue], overdue: [overdue] })
  const expiring = apply(before, reserve(5))
  t.match(
    expiring.changed,
    [{ id: 'job', failure_reason: 'expired', metadata: '{"a":1}' }],
    'the expiry merges nothing',
  )
  follow(before, expiring)
  t.match(apply(before, complete(3)).job, { status: 'completed', actual_cost: 3, metadata: '{"b":2}' })
  t.match(apply(before, fail(true)).refusal, { other_metadata: true })
  t.end()
})

t.test('details of a refusal', (t) => {
  t.match(apply(state(), reserve(21)).refusal, { required: 21, available: 20 })
  t.match(apply(state(), adjust(-21)).refusal, { available: 20 })
  const ended = job({ status: 'completed', actual_cost: 3, ...patch(false, false) })
  t.match(apply(state({ jobs: [ended] }), complete(3)).refusal, { job: ended, other_metadata: true })
  t.match(apply(state({ jobs: [ended] }), complete(4)).refusal, { other_metadata: false })
  t.match(apply(state({ jobs: [ended] }), fail(true)).refusal, { other_metadata: false })
  t.match(apply(state({ jobs: [ended] }), beat(60)).refusal, { job: ended, other_metadata: false })
  t.match(apply(state({ entries: new Map([['r', entry()]]) }), adjust(6)).refusal, { entry: entry() })
  t.equal(apply(state({ entries: new Map([['r', entry()]]) }), adjust(5)).entry?.seq, 3)
  t.match(apply(state(), adjust(6)).entry, { reference: 'r', reason: 'bought', actor: 'admin', amount: 6 })
  t.equal(apply(state(), { type: 'close' }).account.closed, true)
  t.match(apply(state(refunds(3)), refund(6, 2)).refusal, { refundable: 5 })
  t.match(apply(state(refunds(3)), refund(5, 2)).entry, {
    reference: `refund:${JOB}:2`,
    reason: 'black',
    actor: 'admin',
  })
  t.match(apply(state({ jobs: [job(SPENT)] }), refund(null)).entry, { reference: `refund:${JOB}`, job_id: null })
  t.equal(apply(state(refunds(3)), refund(3)).entry?.amount, 3)
  t.end()
})

t.test('exhaustively for small numbers: credits and holds are kept, whatever the order', (t) => {
  const ends: Request[] = [0, 1, 2, 3].map((cost) => complete(cost, { job_id: 'new' }))
  ends.push(fail(true, { job_id: 'new' }), fail(false, { job_id: 'new' }), { type: 'expire', job_id: 'new' })
  let cases = 0
  for (let credits = -2; credits <= 3; credits++)
    for (let cost = 0; cost <= 3; cost++)
      for (const overdue of [false, true])
        for (const first of ends)
          for (const second of ends) {
            cases++
            const world = state({ account: account(credits, { seq: 0 }) })
            let sum = credits
            const step = (request: Request) => {
              const outcome = apply(world, request)
              follow(world, outcome)
              for (const { amount } of outcome.entries) sum += amount
              return outcome
            }
            const made = step(reserve(cost))
            if ((made.refusal === null) !== credits >= cost) throw new Error(`reserve ${cost} of ${credits}`)
            if (made.refusal) continue
            if (overdue) world.jobs.set('new', { ...(world.jobs.get('new') as Job), expires_at: NOW })
            for (const request of [first, second]) {
              const { refusal, repeated } = step(request)
              const { status, reserved, actual_cost, failure_reason } = world.jobs.get('new') as Job
              const { account: now } = world
              const right =
                now.credits === sum &&
                now.held === (status === 'started' ? reserved : 0) &&
                now.credits + now.held === credits - actual_cost &&
                now.seq <= 4
              if (!right) throw new Error(JSON.stringify({ credits, cost, overdue, first, second, now }))
              if (!refusal && !repeated && request.type === 'complete' && actual_cost !== request.actual_cost)
                throw new Error('another cost')
              if (failure_reason === 'expired' && !overdue) throw new Error('expired before its time')
            }
          }
  t.ok(cases > 2_000, `${cases} cases`)
  t.end()
})

t.test('after an operation, the same again moves nothing', (t) => {
  const amount = fc.nat(9)
  const request = fc.oneof(
    amount.map((cost) => reserve(cost, { idempotency_key: 'k', request_hash: `${cost}` })),
    amount.map((cost) => complete(cost)),
    fc.boolean().map((refund) => fail(refund)),
    fc.constant<Request>({ type: 'expire', job_id: 'job' }),
    fc
      .integer({ min: -9, max: 9 })
      .filter((n) => n !== 0)
      .map((n) => adjust(n)),
    fc.constant<Request>({ type: 'visit', app: 'video' }),
    fc.constant<Request>({ type: 'close' }),
  )
  fc.assert(
    fc.property(request, fc.integer({ min: -3, max: 9 }), fc.boolean(), (given, credits, overdue) => {
      const held = job({ expires_at: overdue ? NOW - 1 : NOW + 1 })
      const world = state({
        account: account(credits, { held: 5 }),
        jobs: [held],
        apps: new Map([['video', { starter_credits: 4, keyed: false }]]),
        grants: new Map(),
      })
      const first = apply(world, given)
      follow(world, first)
      const before = world.account
      const again = apply(world, given)
      return (
        again.entries.length === 0 && again.account.credits === before.credits && again.account.held === before.held
      )
    }),
  )
  t.end()
})
