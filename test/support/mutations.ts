import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * `npm run test:mutations`: breaks each rule of the ledger in turn, in a copy, and expects test/ledger/rules.test.ts or budget-rules.test.ts to
 * notice. With words, as in `npm run test:mutations -- budget period`, only those whose names have one of them. Exits with 1 where a
 * mutation survives.
 */
const MUTATIONS: [what: string, from: string, to: string][] = [
  ['a reserve is not looked up by its id', 'if (own) return repeated(state, own)', ''],
  ['a key of another request is a replay', 'earlier.request_hash !== request.request_hash', 'false'],
  ['a key of an ended job is a replay', "earlier && earlier.status !== 'started'", 'false'],
  [
    'an ended job is said before another request',
    'if (earlier && earlier.request_hash',
    "if (earlier?.status === 'started' && earlier.request_hash",
  ],
  ['a replay is another job', 'if (earlier) return repeated(state, earlier)', ''],
  ['a lifetime needs no key', 'request.ttl_without_key && state', 'false && state'],
  ['a reserve may go below zero', 'if (available < cost) {', 'if (available < -999) {'],
  ['all credits cannot be reserved', 'if (available < cost) {', 'if (available <= cost) {'],
  ['overdue holds are not given back', 'for (const { id } of state.overdue)', 'for (const { id } of [] as Job[])'],
  ['all overdue holds are given back', 'if (outcome.account.credits >= cost) break', ''],
  ['a hold that was extended expires', ' && hold.expires_at <= state.now', ''],
  ['a hold is not held', 'outcome.account.held += cost', ''],
  ['a hold lives for ever', 'state.now + request.ttl_seconds * 1000', 'state.now + 1e12'],
  ['completing twice with other metadata', 'if (sameEnd && hasMetadata(job)) return', 'if (sameEnd) return'],
  [
    'any completion is a repeat',
    "job.status === 'completed' && (job.requested_cost ?? job.actual_cost) === actual_cost",
    "job.status === 'completed'",
  ],
  ['late for ever', 'job.expires_at + LATE_MS > state.now', 'true'],
  ['never late', 'job.expires_at + LATE_MS > state.now', 'false'],
  ['a late completion has a hold', 'if (!late) outcome.account.held', 'outcome.account.held'],
  ['a late completion gives back', '(late ? 0 : job.reserved)', 'job.reserved'],
  ['a failure without a refund refunds', 'const actual_cost = refund ? 0 : job.reserved', 'const actual_cost = 0'],
  ['an expired hold can be kept', "(refund || job.failure_reason !== 'expired')", 'true'],
  [
    'holds expire before their time',
    "job?.status === 'started' && job.expires_at <= state.now",
    "job?.status === 'started'",
  ],
  ['an expiry is not called one', 'failure_reason }, hold.metadata', '}, hold.metadata'],
  ['holds outlive their account', "if (job.status === 'started') giveBack", 'if (false) giveBack'],
  ['what has ended ends with the account', "if (job.status === 'started') giveBack", 'giveBack'],
  ['closing goes on no further', 'state.account.closed && outcome.changed.length === 0', 'state.account.closed'],
  ['a left hold expires', "state.account.closed ? ACCOUNT_CLOSED : 'expired'", "'expired'"],
  [
    'what closing ended is settled again',
    "if (job.failure_reason === ACCOUNT_CLOSED) return refused(state, { code: 'account_closed' })\n  if (job.status",
    'if (job.status',
  ],
  ['a heartbeat shortens', 'Math.max(job.expires_at, until)', 'until'],
  ['a grant is made at every visit', '!app || grant?.credits', '!app'],
  ['a first job takes no starter credits', 'if (state.grants) grantStarter(state, outcome, app)', ''],
  ['a refused job is remembered', 'grant: outcome.grant?.credits ? outcome.grant : null', 'grant: outcome.grant'],
  ['a refused job loses its grant', 'grant: outcome.grant?.credits ? outcome.grant : null', 'grant: null'],
  ['starter credits need no room', 'if (!fits({ credits: credits + amount, held })) return', ''],
  ['any number of apps is remembered', 'strangers.length >= MAX_UNREGISTERED_APPS', 'false'],
  [
    'a reference counts twice',
    'const earlier = state.entries.get(reference)',
    'const earlier = undefined as Entry | undefined',
  ],
  ['another amount is a repeat', 'earlier.amount === amount', 'true'],
  ['taking goes below zero', ' && !request.allow_negative)', ' && false)'],
  [
    'a closed account is given credits',
    "return refused(state, { code: 'account_closed' })\n  const { credits }",
    'void 0\n  const { credits }',
  ],
  [
    'the cost charged is compared',
    '(job.requested_cost ?? job.actual_cost) === actual_cost',
    'job.actual_cost === actual_cost',
  ],
  ['no cap is looked at', 'const charged = chargedFor(job, actual_cost)', 'const charged = actual_cost'],
  ['a cap forgets the reserve', 'reserved + (max_overage ?? share ?? cost)', 'max_overage ?? share ?? cost'],
  ['a share is rounded up', 'Math.floor((reserved * percent) / 100)', 'Math.ceil((reserved * percent) / 100)'],
  ['what was asked for is forgotten', 'charged < actual_cost ? actual_cost : null', 'null'],
  ['a refund is made again', 'if (earlier && earlier.amount === given) return', 'if (false) return'],
  ['another amount is the same refund', 'earlier && earlier.amount === given', 'earlier'],
  ['parts exceed the cost', 'given === 0 || given > refundable', 'given === 0'],
  ['a refund of nothing', 'given === 0 || given > refundable', 'given > refundable'],
  ['a refund is forgotten', 'refunded: job.refunded + given', 'refunded: job.refunded'],
  ['a part counts against itself', ' + (earlier?.amount ?? 0)', ''],
  ['a running job is refunded', "if (job.status === 'started') return refused(state, { code: 'job_not_ended' })", ''],
  ['closing closes nothing', 'outcome.account.closed = true', ''],
  ['zero amounts are entries', 'if (amount === 0) return\n', ''],
  ['entries have one number', 'account.seq += 1', ''],
  ['balances have no limit', 'credits >= -MAX_CREDITS && credits + held <= MAX_CREDITS', 'true'],
  ['holds do not count for the limit', 'credits + held <= MAX_CREDITS', 'credits <= MAX_CREDITS'],
  ['an overage is a refund', "kind: 'job_overage'", "kind: 'job_refund'"],
  ['too much metadata is taken', '!merge.too_large ? ', 'true ? '],
  ['budgets are not looked at', 'if (beyond) return beyond', ''],
  ['a job forgets its budgets', 'budgets.length > 0 ? budgets.map(({ id }) => id) : null', 'null'],
  ['a reserve does not count', 'count(state, outcome, job, cost)', ''],
  ['an ending does not count', 'if (before) count(state, outcome, ended', 'if (false) count(state, outcome, ended'],
  ['an ending counts its whole cost', 'countedFor(ended) - countedFor(before)', 'countedFor(ended)'],
  ['a job of an earlier period counts', 'job.created_at >= budget.period_start', 'true'],
  ['a period that is over keeps its sum', 'else if (budget !== stored) put(outcome, budget)', ''],
  ['apps are not looked at', 'apps !== null && !apps.includes(app)', 'false'],
  ['an exceeded budget is told each time', 'if (!budget.exceeded_told) tell(outcome', 'tell(outcome'],
  ['only one of the budgets is told', 'for (const budget of full)', 'for (const budget of full.slice(0, 1))'],
  ['a low budget is told each time', 'isLow(budget) && !budget.low_told', 'isLow(budget)'],
  ['an overage tells nothing', 'isBeyond(budget, 0) && !budget.exceeded_told', 'false'],
  [
    'a closed account is given budgets',
    "if (state.account.closed) return refused(state, { code: 'account_closed' })\n  const { id } = request",
    'const { id } = request',
  ],
  [
    'no limit makes a budget',
    'if (!known && budget.amount === null && budget.apps === null) return repeated(state)',
    '',
  ],
  ['a budget has room for one more', 'spent + cost > amount', 'spent + cost > amount + 1'],
  ['a full budget is exceeded', 'spent + cost > amount', 'spent + cost >= amount'],
  ['weeks begin on Sunday', '(date.getUTCDay() + 6) % 7', 'date.getUTCDay()'],
  ['no period turns', 'if (start <= period_start) return budget', 'return budget'],
  ['a new period keeps what was spent', 'return { ...budget, spent: 0,', 'return { ...budget,'],
  ['low at half', 'const LOW = 0.8', 'const LOW = 0.5'],
  [
    'another amount forgets what is spent',
    '{ ...budget, amount, period, apps }',
    '{ ...budget, spent: 0, amount, period, apps }',
  ],
  ['another amount is told no more', '{ ...changed, low_told: isLow(changed), exceeded_told: false }', 'changed'],
  ['a period stays without an amount', 'if (changed.amount === null) changed.period = null', ''],
  ['another period keeps what the budget has spent', 'if (changed.period !== budget.period) {', 'if (false) {'],
  ['another period counts what was before it', 'counted.filter(({ at }) => at >= changed.period_start)', 'counted'],
  [
    'no period of a budget begins today',
    'changed.period === null ? 0 : startOf',
    'changed.period === null ? now : startOf',
  ],
  [
    'what a batch did before does not count for another period',
    'state.counted.get(id)?.push({ at: job.created_at, credits })',
    '',
  ],
  [
    'a token with limits settles any job of a budget',
    'const foreign = outsideLimits(state, job, request.by)',
    'const foreign = outsideLimits(state, job, undefined)',
  ],
  ['any of the budgets of a token is enough', 'limits.every(({ id })', 'limits.some(({ id })'],
  [
    'a budget that limits nothing keeps from settling',
    'filter(({ amount, apps }) => amount !== null || apps !== null)',
    'filter(() => true)',
  ],
  [
    'a job without a grant is of the budget of any',
    '(job.grant_id !== null && job.grant_id === by?.grant_id)',
    '(job.grant_id === by?.grant_id)',
  ],
  ['a job of its own that counts against no budget is not its own', 'job.token_id === by?.token_id ||', 'false ||'],
  ['the apps of a budget do not matter at the end', 'if (elsewhere?.apps) return { code', 'if (false) return { code'],
  ['a shorter period is within a longer', ' && !sooner', ''],
  ['any apps are within some', 'inner.apps?.every((app) => outer.apps?.includes(app)) ?? false', 'true'],
]

const root = new URL('../..', import.meta.url).pathname
/** Where the rules stand, in the order in which the text of a mutation is looked for. */
const RULES = ['rules', 'spending', 'state', 'budgets'].map((name) => `src/ledger/${name}.ts`)
const TESTS = ['test/ledger/budget-rules.test.ts', 'test/ledger/rules.test.ts']
const words = process.argv.slice(2)
const chosen = MUTATIONS.filter(([what]) => words.length === 0 || words.some((word) => what.includes(word)))
const folder = mkdtempSync(join(tmpdir(), 'focus-mutations-'))
let survived = 0
try {
  for (const file of ['package.json', ...TESTS, 'src/ledger/reconcile.ts', ...RULES])
    cpSync(join(root, file), join(folder, file), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const passes = () =>
    TESTS.every((test) => spawnSync(process.execPath, [test], { cwd: folder, timeout: 60_000 }).status === 0)
  if (!passes()) throw new Error(`${TESTS.join(' or ')} fails without a mutation.`)
  const texts = new Map(RULES.map((file) => [file, readFileSync(join(root, file), 'utf8')]))
  for (const [what, from, to] of chosen) {
    const [file, text] = [...texts].find(([, text]) => text.includes(from)) ?? []
    if (file === undefined || text === undefined) throw new Error(`No rule says ${JSON.stringify(from)} any more.`)
    const at = text.indexOf(from)
    writeFileSync(join(folder, file), text.slice(0, at) + to + text.slice(at + from.length))
    const caught = !passes()
    if (!caught) survived++
    console.log(`${caught ? 'caught  ' : 'SURVIVED'} ${what}`)
    writeFileSync(join(folder, file), text)
  }
  console.log(`${chosen.length - survived} of ${chosen.length} mutations were caught.`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = survived > 0 ? 1 : 0
