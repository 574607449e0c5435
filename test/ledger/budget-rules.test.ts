import t from 'tap'
import { type Budget, isWithin, type Limits } from '../../src/ledger/budgets.ts'
import { apply } from '../../src/ledger/rules.ts'
import { follow, type Job, type Outcome, type Request, type State } from '../../src/ledger/state.ts'

const at = (text: string): number => Date.parse(text)
/** A Wednesday. */
const NOW = at('2026-11-25T12:00:00.000Z')
const HOUR = 3_600_000

const budget = (more: Partial<Budget> = {}): Budget => ({
  ...{ id: 'token', amount: 50, period: null, apps: null, spent: 0, period_start: NOW - HOUR },
  ...{ low_told: false, exceeded_told: false },
  ...more,
})
const state = (...budgets: Budget[]): State => ({
  now: NOW,
  account: { id: 'ada', credits: 1_000, held: 0, seq: 7, closed: false },
  ...{ jobs: new Map(), keys: new Map(), overdue: [], apps: new Map(), grants: null, entries: new Map() },
  purchases: new Map(),
  budgets: new Map(budgets.map((each) => [each.id, each])),
  counted: new Map(),
})
const reserve = (cost: number, more: object = {}): Request => ({
  ...{ type: 'reserve', job_id: 'job', app: 'video', action: 'render', cost, metadata: null, idempotency_key: null },
  ...{ request_hash: null, ttl_seconds: 3_600, ttl_without_key: false, token_id: 'token', grant_id: null },
  budget_ids: ['token'],
  ...more,
})
const complete = (actual_cost: number, more: object = {}): Request => ({
  ...{ type: 'complete', job_id: 'job', key_of: null, actual_cost, metadata: null },
  ...more,
})
const fail = (refund: boolean): Request => ({ type: 'fail', job_id: 'job', key_of: null, refund, metadata: null })
const expire: Request = { type: 'expire', job_id: 'job' }

/** Does one request after the other. @returns the last outcome */
function play(on: State, ...requests: (Request | { at: number })[]): Outcome {
  let last: Outcome | undefined
  for (const request of requests) {
    if ('at' in request) {
      on.now = request.at
      continue
    }
    last = apply(on, request)
    follow(on, last)
  }
  if (!last) throw new Error('nothing was done')
  return last
}
const spent = (on: State, id = 'token') => on.budgets.get(id)?.spent

t.test('a reserve counts against its budgets, and no further than they go', async (t) => {
  const ada = state(budget())
  t.match(play(ada, reserve(50)), { refusal: null, created: { budget_ids: ['token'] }, budgets: [{ spent: 50 }] })
  const refused = play(ada, reserve(1, { job_id: 'other' }))
  t.strictSame(refused.refusal, { code: 'budget_exceeded', budget: 50, spent: 50, resets_at: null })
  t.match(refused, { created: null, entries: [] })
  t.equal(play(ada, reserve(0, { job_id: 'free' })).refusal, null, 'what costs nothing fits')
  t.equal(spent(ada), 50)
  t.equal(play(ada, reserve(7, { job_id: 'person', budget_ids: [] })).created?.budget_ids, null)
  t.equal(play(ada, reserve(7, { job_id: 'free of limits', budget_ids: ['nobody'] })).created?.budget_ids, null)
  t.equal(spent(ada), 50, 'what names no budget counts against none')
})

t.test('the end of a job moves the budget as the account', async (t) => {
  const ends: [how: string, requests: (Request | { at: number })[], left: number][] = [
    ['completed below', [complete(3)], 3],
    ['completed at it', [complete(10)], 10],
    ['completed beyond', [complete(70)], 70],
    ['failed', [fail(true)], 0],
    ['failed without a refund', [fail(false)], 10],
    ['expired', [{ at: NOW + 2 * HOUR }, expire], 0],
    ['charged late', [{ at: NOW + 2 * HOUR }, expire, complete(8)], 8],
    ['completed twice', [complete(3), complete(3), complete(4)], 3],
    ['closed', [{ type: 'close' }], 0],
    [
      'refunded later: it has cost what it cost',
      [complete(9), { type: 'refund', job_id: 'job', amount: 5, part: 1, reason: 'r', actor: 'a' }],
      9,
    ],
  ]
  for (const [how, requests, left] of ends) {
    const ada = state(budget())
    play(ada, reserve(10), ...requests)
    t.equal(spent(ada), left, how)
  }
  const capped = state(budget())
  play(capped, reserve(10))
  capped.jobs.set('job', { ...(capped.jobs.get('job') as Job), max_overage: 2 })
  play(capped, complete(70))
  t.equal(spent(capped), 12, 'what a cap charges counts')
})

t.test('an overage may pass the budget, the next reserve does not', async (t) => {
  const ada = state(budget())
  t.equal(play(ada, reserve(10), complete(70)).refusal, null)
  t.match(play(ada, reserve(0, { job_id: 'free' })).refusal, { code: 'budget_exceeded', spent: 70 })
})

t.test('overdue holds that a reserve gives back leave the budget', async (t) => {
  const ada = state(budget({ amount: 2_000 }))
  play(ada, reserve(1_000), { at: NOW + 2 * HOUR })
  ada.overdue = [ada.jobs.get('job') as Job]
  t.equal(play(ada, reserve(600, { job_id: 'other' })).refusal, null)
  t.equal(spent(ada), 600)
  const short = state(budget({ amount: 9_000 }))
  play(short, reserve(1_000), { at: NOW + 2 * HOUR })
  short.overdue = [short.jobs.get('job') as Job]
  t.equal(play(short, reserve(2_000, { job_id: 'other' })).refusal?.code, 'insufficient_credits')
  t.equal(spent(short), 0)
})

t.test('a replay counts once, whatever became of the budget', async (t) => {
  const keyed = { idempotency_key: 'key', request_hash: 'hash' }
  const ada = state(budget())
  play(ada, reserve(30, keyed))
  t.match(play(ada, reserve(30, { ...keyed, job_id: 'again' })), { repeated: true, budgets: [] })
  t.match(play(ada, reserve(30, keyed)), { repeated: true }, 'as a lost answer is posted again')
  play(ada, { type: 'limit', id: 'token', amount: 1 })
  t.match(play(ada, reserve(30, { ...keyed, job_id: 'again' })), { repeated: true, refusal: null })
  t.equal(spent(ada), 30)
})

t.test('all budgets of a token hold, those of what made it too', async (t) => {
  const ids = ['maker', 'token']
  const ada = state(budget({ id: 'maker', amount: 20 }), budget({ apps: ['video', 'audio'] }))
  t.match(play(ada, reserve(15, { budget_ids: ids })), { created: { budget_ids: ids } })
  t.match(play(ada, reserve(6, { job_id: 'other', budget_ids: ids })).refusal, { budget: 20, spent: 15 })
  play(ada, complete(4))
  t.strictSame([spent(ada, 'maker'), spent(ada)], [4, 4])
  const both = state(budget({ id: 'maker', amount: 5 }), budget({ amount: 5 }))
  t.equal(play(both, reserve(6, { budget_ids: ids })).told.length, 2, 'each is told')
})

t.test('a token with limits settles its own jobs alone, and those of what it made', async (t) => {
  const by = (token_id: string, budget_ids = [token_id], grant_id: string | null = null) => ({
    by: { token_id, grant_id, budget_ids },
  })
  const beat = (by: object): Request => ({
    ...{ type: 'heartbeat', job_id: 'job', key_of: null, ttl_seconds: 9_999, default_seconds: 1 },
    ...by,
  })
  const made = (more: object) => {
    const ada = state(budget(), budget({ id: 'maker' }), budget({ id: 'free', amount: null }), budget({ id: 'grant' }))
    play(ada, reserve(10, more))
    return ada
  }
  const others: [what: string, job: object, by: object][] = [
    ['the job of another token', { token_id: 'other', budget_ids: [] }, by('token')],
    ['the job of a person', { token_id: null, budget_ids: [] }, by('token')],
    ['the job of its maker', { token_id: 'maker', budget_ids: ['maker'] }, by('token', ['maker', 'token'])],
    ['the job of another child', { budget_ids: ['maker', 'token'] }, by('child', ['maker', 'grant'])],
    ['the job of another grant', { grant_id: 'other', budget_ids: [] }, by('at', ['grant'], 'grant')],
  ]
  for (const [what, job, by] of others)
    for (const request of [complete(900, by), complete(3, by), { ...fail(true), ...by }, beat(by)]) {
      const ada = made(job)
      const outcome = play(ada, request)
      t.strictSame(outcome.refusal, { code: 'job_outside_limits' }, `${what}: ${request.type}`)
      t.match(outcome, { repeated: false, entries: [], changed: [], budgets: [], account: { credits: 990, held: 10 } })
    }
  const own: [what: string, job: object, by: object][] = [
    ['its own', {}, by('token')],
    ['its own, from before it had limits', { budget_ids: [] }, by('token')],
    ['what a token made that it made', { token_id: 'child', budget_ids: ['token', 'maker'] }, by('token')],
    ['its own of a maker with limits', { budget_ids: ['maker', 'token'] }, by('token', ['maker', 'token'])],
    ['another one without limits', { token_id: 'other', budget_ids: [] }, by('free', ['free', 'nobody'])],
    ['of its grant', { token_id: 'earlier', grant_id: 'grant', budget_ids: [] }, by('at', ['grant'], 'grant')],
    ['of its grant by the app', { token_id: null, budget_ids: ['grant'] }, by('at', ['grant'], 'grant')],
    ['anything, by a key', { token_id: 'other', budget_ids: [] }, { key_of: 'video' }],
  ]
  for (const [what, job, by] of own) {
    t.equal(play(made(job), beat(by)).refusal, null, `${what}: heartbeat`)
    t.equal(play(made(job), { ...fail(true), ...by }).refusal, null, `${what}: fail`)
    const ada = made(job)
    t.equal(play(ada, complete(70, by)).refusal, null, `${what}: complete, above the budget too`)
    t.match(play(ada, complete(70, by)), { repeated: true, refusal: null }, `${what}: a repeat`)
  }

  const elsewhere = made({ app: 'audio' })
  play(elsewhere, { type: 'limit', id: 'token', apps: ['video', 'clips'] })
  const refusal = { code: 'app_not_allowed', apps: ['video', 'clips'] }
  t.strictSame(play(elsewhere, complete(3, by('token'))).refusal, refusal, 'at an app that it may spend at no more')
  const keyed = made({ token_id: 'other', budget_ids: [] })
  keyed.jobs.set('job', { ...(keyed.jobs.get('job') as Job), keyed: true })
  t.equal(
    play(keyed, complete(3, by('token'))).refusal?.code,
    'settle_key_required',
    'where the app has a key, as ever',
  )
  const ended = made({ token_id: 'other', budget_ids: [] })
  t.equal(play(ended, complete(3), complete(3, by('token'))).refusal?.code, 'job_outside_limits', 'what has ended, too')
})

t.test('a list of apps refuses the others', async (t) => {
  const ada = state(budget({ amount: null, apps: ['video', 'audio'] }))
  t.strictSame(play(ada, reserve(1, { app: 'clips' })).refusal, { code: 'app_not_allowed', apps: ['video', 'audio'] })
  t.equal(play(ada, reserve(900)).refusal, null, 'without an amount, only that')
  t.equal(spent(ada), 900)
})

t.test('a period turns at UTC midnight, on Monday, on the first', async (t) => {
  const turns: [period: 'day' | 'week' | 'month', next: string, after: string][] = [
    ['day', '2026-11-26', '2026-11-27'],
    ['week', '2026-11-30', '2026-12-07'],
    ['month', '2026-12-01', '2027-01-01'],
  ]
  for (const [period, next, after] of turns) {
    const ada = state(budget({ period, period_start: at('2026-11-25') }))
    play(ada, reserve(50))
    const last = play(ada, { at: at(next) - 0.001 }, reserve(1, { job_id: 'last' }))
    t.match(last.refusal, { spent: 50, resets_at: at(next) }, `${period}: not before`)
    t.match(play(ada, { at: at(next) }, reserve(50, { job_id: 'first' })), {
      refusal: null,
      budgets: [{ spent: 50, period_start: at(next), low_told: true, exceeded_told: false }],
    })
    t.match(play(ada, reserve(1, { job_id: 'more' })).refusal, { resets_at: at(after) })
  }
  const monday = state(budget({ period: 'week', period_start: at('2026-11-29T23:00:00Z') }))
  monday.now = at('2026-11-29T23:30:00Z')
  t.match(play(monday, reserve(51)).refusal, { resets_at: at('2026-11-30') }, 'Sunday is the last day of a week')
})

t.test('a job belongs to the period of its reserve', async (t) => {
  const tomorrow = at('2026-11-26T00:00:00Z')
  const ada = state(budget({ period: 'day' }))
  play(ada, reserve(10, { ttl_seconds: 86_400 }), reserve(5, { job_id: 'kept', ttl_seconds: 86_400 }))
  const ended = play(ada, { at: tomorrow }, complete(30))
  t.match(ended.budgets, [{ spent: 0, period_start: tomorrow }], 'the row no longer speaks of the day that is over')
  play(ada, reserve(20, { job_id: 'today' }), complete(1, { job_id: 'kept' }))
  t.equal(spent(ada), 20)
  t.match(play(ada, complete(2, { job_id: 'today' })).budgets, [{ spent: 2 }])
})

t.test('limits change without a word about what is spent', async (t) => {
  const ada = state(budget())
  play(ada, reserve(30))
  t.match(play(ada, { type: 'limit', id: 'token', amount: 10 }).budgets, [{ amount: 10, spent: 30 }])
  t.match(play(ada, reserve(1, { job_id: 'other' })).refusal, { code: 'budget_exceeded', budget: 10, spent: 30 })
  play(ada, complete(5))
  t.equal(play(ada, reserve(5, { job_id: 'fits' })).refusal, null, 'a settlement below makes room again')
  play(ada, { type: 'limit', id: 'token', amount: null, period: 'day' })
  t.match(ada.budgets.get('token'), { amount: null, period: null, spent: 10 })
  play(ada, reserve(500, { job_id: 'large' }), { type: 'limit', id: 'token', amount: 600 })
  t.equal(spent(ada), 510, 'taking a limit away and setting it again forgets nothing')

  const fresh = state()
  t.match(play(fresh, { type: 'limit', id: 'token', apps: ['video'] }), { budgets: [{ period_start: NOW, spent: 0 }] })
  t.match(play(fresh, { type: 'limit', id: 'other', amount: null }), { repeated: true, budgets: [] })
  play(fresh, { type: 'close' })
  t.match(play(fresh, { type: 'limit', id: 'token', amount: 1 }).refusal, { code: 'account_closed' })
})

t.test('another period has spent what its jobs hold and cost, those of the same batch too', async (t) => {
  const limit = (period: string | null): Request => ({ type: 'limit', id: 'token', period }) as Request
  const ada = state(budget({ period: 'week', period_start: at('2026-11-30'), spent: 7 }))
  ada.now = at('2026-12-02T12:00:00Z')
  const counted = [
    { at: at('2026-11-02'), credits: 20 },
    { at: at('2026-11-30'), credits: 4 },
    { at: at('2026-12-01'), credits: 2 },
    { at: at('2026-12-02'), credits: 1 },
  ]
  const put = () => ada.counted.set('token', [...counted])
  for (const [period, since, left] of [
    ['month', at('2026-12-01'), 3],
    ['week', at('2026-11-30'), 7],
    ['day', at('2026-12-02'), 1],
    [null, 0, 27],
  ] as const) {
    put()
    const { budgets } = play(ada, limit(period))
    t.match(budgets, [{ period, spent: left, period_start: since, low_told: false, exceeded_told: false }])
  }
  put()
  ada.jobs.clear()
  play(ada, reserve(10), reserve(5, { job_id: 'other' }), complete(2), limit('day'))
  t.equal(spent(ada), 8, 'with what the batch did before')
  t.match(play(ada, complete(9, { job_id: 'other' }), limit('month')).budgets, [{ spent: 14 }])
  play(ada, { at: at('2026-12-03') }, limit('day'), complete(9, { job_id: 'late' }))
  t.match(ada.budgets.get('token'), { spent: 0, period_start: at('2026-12-03') })
  t.match(play(ada, { type: 'limit', id: 'token', amount: 40 }).budgets, [{ spent: 0, period: 'day' }])
  t.match(play(ada, limit('month')).budgets, [{ spent: 14, low_told: false }])
  put()
  t.match(play(ada, { type: 'limit', id: 'token', amount: 31, period: null }).budgets, [{ spent: 27, low_told: true }])
})

t.test('low and exceeded are told once a period', async (t) => {
  const told = ({ told }: Outcome) => told.map(({ event, app }) => `${event} ${app}`)
  const ada = state(budget({ period: 'day', period_start: at('2026-11-25') }))
  t.strictSame(told(play(ada, reserve(39))), [])
  t.strictSame(told(play(ada, reserve(1, { job_id: '2', app: 'audio' }))), ['budget.low audio'], '80 %')
  t.strictSame(told(play(ada, complete(0))), [])
  t.strictSame(told(play(ada, reserve(39, { job_id: '3' }))), [], 'not again when it comes back')
  t.strictSame(told(play(ada, reserve(11, { job_id: '4' }))), ['budget.exceeded video'])
  t.strictSame(told(play(ada, reserve(11, { job_id: '4' }))), [])
  t.strictSame(told(play(ada, complete(99, { job_id: '3' }))), [], 'an overage after a refusal')
  play(ada, { at: at('2026-11-26') }, reserve(1, { job_id: '5' }))
  t.strictSame(told(play(ada, complete(51, { job_id: '5' }))), ['budget.low video', 'budget.exceeded video'])
  t.strictSame(told(play(ada, reserve(1, { job_id: '6' }))), [])
  play(ada, { type: 'limit', id: 'token', amount: 60 })
  t.strictSame(
    told(play(ada, reserve(20, { job_id: '7' }))),
    ['budget.exceeded video'],
    'another amount may be exceeded',
  )
  play(ada, { type: 'limit', id: 'token', apps: ['video'] })
  t.strictSame(told(play(ada, reserve(20, { job_id: '8' }))), [], 'another list of apps is the same budget')
  const none = state(budget({ amount: 0 }))
  t.strictSame(told(play(none, reserve(0))), [])
})

t.test('limits are within others', async (t) => {
  const cases: [inner: Partial<Limits>, outer: Partial<Limits>, within: boolean][] = [
    [{}, {}, true],
    [{ amount: 5 }, {}, true],
    [{}, { amount: 5 }, false],
    [{ amount: 5 }, { amount: 5 }, true],
    [{ amount: 6 }, { amount: 5 }, false],
    [{ amount: 5, period: 'day' }, { amount: 5 }, false],
    [{ amount: 5 }, { amount: 5, period: 'day' }, true],
    [{ amount: 5, period: 'week' }, { amount: 5, period: 'day' }, true],
    [{ amount: 5, period: 'week' }, { amount: 5, period: 'month' }, false],
    [{ apps: ['a'] }, {}, true],
    [{}, { apps: ['a'] }, false],
    [{ apps: ['a'] }, { apps: ['a', 'b'] }, true],
    [{ apps: ['a', 'c'] }, { apps: ['a', 'b'] }, false],
    [{ apps: ['a'], amount: 6 }, { apps: ['a'], amount: 5 }, false],
  ]
  const limits = (some: Partial<Limits>): Limits => ({ amount: null, period: null, apps: null, ...some })
  for (const [inner, outer, within] of cases)
    t.equal(isWithin(limits(inner), limits(outer)), within, JSON.stringify([inner, outer]))
})
