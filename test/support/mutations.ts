import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * `npm run test:mutations`: breaks each rule of the ledger in turn, in a copy, and expects test/ledger/rules.test.ts to notice. Exits with
 * 1 where a mutation survives.
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
  ['an expiry is not called one', 'failure_reason, merge: null', 'merge: null'],
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
  ['too much metadata is taken', '!job.merge.too_large ? ', 'true ? '],
]

const root = new URL('../..', import.meta.url).pathname
const rules = readFileSync(join(root, 'src/ledger/rules.ts'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'focus-mutations-'))
let survived = 0
try {
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  cpSync(join(root, 'test/ledger/rules.test.ts'), join(folder, 'test/ledger/rules.test.ts'), { recursive: true })
  cpSync(join(root, 'src/ledger/reconcile.ts'), join(folder, 'src/ledger/reconcile.ts'), { recursive: true })
  cpSync(join(root, 'src/ledger/rules.ts'), join(folder, 'src/ledger/rules.ts'), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const passes = (text: string) => {
    writeFileSync(join(folder, 'src/ledger/rules.ts'), text)
    const { status } = spawnSync(process.execPath, ['test/ledger/rules.test.ts'], { cwd: folder, timeout: 60_000 })
    return status === 0
  }
  if (!passes(rules)) throw new Error('test/ledger/rules.test.ts fails without a mutation.')
  for (const [what, from, to] of MUTATIONS) {
    const at = rules.indexOf(from)
    if (at < 0) throw new Error(`rules.ts does not say ${JSON.stringify(from)} any more.`)
    const caught = !passes(rules.slice(0, at) + to + rules.slice(at + from.length))
    if (!caught) survived++
    console.log(`${caught ? 'caught  ' : 'SURVIVED'} ${what}`)
  }
  console.log(`${MUTATIONS.length - survived} of ${MUTATIONS.length} mutations were caught.`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = survived > 0 ? 1 : 0
