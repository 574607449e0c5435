import fc from 'fast-check'
import t from 'tap'
import { type Payment, type Purchase, type Reversal, reconcile } from '../../src/ledger/reconcile.ts'
import { apply, MAX_CREDITS } from '../../src/ledger/rules.ts'
import { type Account, follow, type Outcome, type State } from '../../src/ledger/state.ts'

const NOW = 1_800_000_000_000
const purchase = (more: Partial<Purchase> = {}): Purchase => ({
  ...{ id: 'bought', pack_name: 'Small', credits: 100, status: 'open', failure_reason: null, checkout_id: null },
  ...{ payment_id: null, reference: null, amount: null, refunds: [], taken_back: 0, disputed: false },
  ...{ receipt_url: null, paid_at: null, version: 0 },
  ...more,
})
const payment = (more: Partial<Payment> = {}): Payment => ({
  ...{ status: 'open', failure_reason: null, checkout_id: 'cs_1', payment_id: null, reference: null, amount: null },
  ...{ receipt_url: null, disputed: false, reversals: [] },
  ...more,
})
const PAID: Partial<Payment> = { status: 'paid', payment_id: 'pi_1', reference: 'stripe:pi_1', amount: 500 }
const refund = (id: string, amount: number, counts = true): Reversal => ({ id, kind: 'refund', amount, counts })
const dispute = (id: string, amount: number, counts = true): Reversal => ({ id, kind: 'dispute', amount, counts })
const paid = (...reversals: Reversal[]) => payment({ ...PAID, reversals })

/** The account and its purchase after one report after the other. */
function play(reports: Payment[], from: Partial<Purchase> = {}, account: Partial<Account> = {}) {
  const bought = purchase(from)
  const state: State = {
    now: NOW,
    account: { id: 'ada', credits: 0, held: 0, seq: 0, closed: false, ...account },
    ...{ jobs: new Map(), keys: new Map(), overdue: [], apps: new Map(), grants: new Map(), entries: new Map() },
    purchases: new Map([[bought.id, bought]]),
    budgets: new Map(),
    counted: new Map(),
  }
  const outcomes = reports.map((report): Outcome => {
    const { version = 0 } = state.purchases.get('bought') ?? {}
    const outcome = apply(state, { type: 'reconcile', purchase_id: 'bought', version, payment: report })
    follow(state, outcome)
    return outcome
  })
  return {
    state,
    outcomes,
    credits: state.account.credits,
    purchase: state.purchases.get('bought') as Purchase,
    entries: outcomes.flatMap(({ entries }) =>
      entries.map(({ kind, amount, reference }) => `${kind} ${amount} ${reference}`),
    ),
  }
}

t.test('a purchase is posted once, whatever is said how often', async (t) => {
  const { credits, entries, outcomes, purchase: after } = play([payment(), paid(), paid(), paid(), payment()])
  t.equal(credits, 100)
  t.strictSame(entries, ['topup 100 stripe:pi_1'])
  t.match(after, { status: 'paid', amount: 500, paid_at: NOW, payment_id: 'pi_1', checkout_id: 'cs_1' })
  t.strictSame(
    outcomes.map(({ repeated }) => repeated),
    [false, false, true, true, true],
  )
  t.match(outcomes[1]?.entries[0], { actor: 'payments', reason: 'Small' })
})

t.test('a delayed payment counts when it succeeds, also where it seemed to have failed', async (t) => {
  const processing = payment({ status: 'processing', payment_id: 'pi_1' })
  const failed = payment({ status: 'failed', failure_reason: 'card_declined' })
  t.equal(play([processing, failed]).credits, 0)
  t.match(play([processing, failed]).purchase, { status: 'failed', failure_reason: 'card_declined' })
  t.match(play([processing, failed, paid()]), { credits: 100, purchase: { status: 'paid', failure_reason: null } })
})

t.test('refunds take credits in proportion, rounded down over their sum', async (t) => {
  t.strictSame(play([paid(refund('re_1', 199))]).entries, ['topup 100 stripe:pi_1', 'topup_refund -39 stripe:re_1'])
  const parts = [refund('re_1', 166), refund('re_2', 167), refund('re_3', 167)]
  const { credits, entries } = play([paid(), paid(...parts.slice(0, 1)), paid(...parts.slice(0, 2)), paid(...parts)])
  t.strictSame(entries.slice(1), [
    'topup_refund -33 stripe:re_1',
    'topup_refund -33 stripe:re_2',
    'topup_refund -34 stripe:re_3',
  ])
  t.equal(credits, 0)
  t.strictSame(play([paid(...parts)]).credits, 0, 'all at once')
  t.equal(play([paid(refund('re_1', 400), refund('re_2', 400))]).credits, 0, 'never more than was given')
})

t.test('a refund that fails gives the credits again, and the next one takes them again', async (t) => {
  const { credits, entries } = play([
    paid(refund('re_1', 250)),
    paid(refund('re_1', 250, false)),
    paid(refund('re_1', 250, false), refund('re_2', 250)),
    paid(refund('re_1', 250), refund('re_2', 250)),
  ])
  t.strictSame(entries.slice(1), [
    'topup_refund -50 stripe:re_1',
    'topup_reinstated 50 stripe:re_1:2',
    'topup_refund -50 stripe:re_2',
    'topup_refund -50 stripe:re_1:3',
  ])
  t.equal(credits, 0)
})

t.test('a lost dispute takes credits, below zero if need be; a won one gives them again', async (t) => {
  const open = payment({ ...PAID, disputed: true, reversals: [dispute('dp_1', 500, false)] })
  const lost = { ...open, reversals: [dispute('dp_1', 500)] }
  const won = { ...open, disputed: false }
  t.match(play([paid(), open]), { credits: 100, purchase: { disputed: true, taken_back: 0 } })
  const spent = play([lost], { status: 'paid', ...bought }, { credits: 30 })
  t.match(spent, { credits: -70, purchase: { disputed: true, taken_back: 100 } })
  t.equal(spent.outcomes[0]?.account.credits, -70)
  const end = play([open, lost, won])
  t.strictSame(end.entries.slice(1), ['topup_refund -100 stripe:dp_1', 'topup_reinstated 100 stripe:dp_1:2'])
  t.match(end, { credits: 100, purchase: { disputed: false, taken_back: 0 } })
  t.equal(
    play([paid(refund('re_1', 100)), payment({ ...PAID, reversals: [refund('re_1', 100), dispute('dp_1', 500)] })])
      .credits,
    0,
  )
})
const bought: Partial<Purchase> = { reference: 'stripe:pi_1', amount: 500 }

t.test('what was heard of a refund stays, where the provider does not mention it', async (t) => {
  t.match(play([paid(refund('re_1', 250)), paid()]), { credits: 50, purchase: { taken_back: 50 } })
})

t.test('a report of an older version, of a stranger or for a closed account posts nothing', async (t) => {
  const { state } = play([paid()])
  const ask = (more: object) =>
    apply(state, { ...{ type: 'reconcile', purchase_id: 'bought', version: 1, payment: paid() }, ...more })
  t.match(ask({ version: 0 }), { refusal: { code: 'purchase_changed' }, entries: [] })
  t.match(ask({ purchase_id: 'other' }), { refusal: { code: 'purchase_not_found' }, entries: [] })
  t.match(play([paid()], {}, { closed: true }).outcomes, [{ refusal: { code: 'account_closed' }, entries: [] }])
  const expired = play([payment({ status: 'expired', receipt_url: 'https://receipt' })], {}, { closed: true })
  t.equal(expired.purchase.receipt_url, null)
  t.match(expired, { purchase: { status: 'expired' } }, 'that nothing was paid is noted for a closed account, too')
  t.match(play([paid()], {}, { credits: MAX_CREDITS }).outcomes, [{ refusal: { code: 'balance_out_of_range' } }])
  t.throws(() => reconcile(purchase(), payment({ status: 'paid' }), NOW), /without its payment/)
})

t.test('whatever the order, what is posted is the proportion of what counts in the end', async () => {
  const reversal = fc.record({
    id: fc.constantFrom('re_1', 're_2', 're_3', 'dp_1'),
    kind: fc.constantFrom('refund', 'dispute'),
    amount: fc.integer({ min: 1, max: 700 }),
    counts: fc.boolean(),
  }) as fc.Arbitrary<Reversal>
  const report = fc
    .uniqueArray(reversal, { selector: ({ id }) => id })
    .map((reversals) => payment({ ...PAID, reversals }))
  const credits = fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.constant(1_000_000_000_000))
  fc.assert(
    fc.property(credits, fc.array(report, { minLength: 1, maxLength: 8 }), (amount, reports) => {
      const { purchase: after, state, outcomes } = play(reports, { credits: amount })
      const money = Math.min(
        after.refunds.reduce((sum, refund) => sum + refund.amount, 0),
        500,
      )
      const due = Number((BigInt(amount) * BigInt(money)) / 500n)
      const references = outcomes.flatMap(({ entries }) => entries.map(({ reference }) => reference))
      const once = new Set(references).size === references.length
      return once && after.taken_back === due && state.account.credits === amount - due
    }),
  )
})
