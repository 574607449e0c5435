import fc from 'fast-check'
import t from 'tap'
import type { JobStatus } from '../../src/db/tables.ts'
import {
  completion,
  failure,
  isRepeat,
  MAX_CREDITS,
  type Movement,
  refundKind,
  settlement,
} from '../../src/ledger/rules.ts'
import { personWith, start } from '../support/start.ts'

const job = (status: JobStatus, reserved: number, actual_cost: number, failure_reason: string | null = null) => ({
  status,
  reserved,
  actual_cost,
  failure_reason,
})

t.test('an ending moves the difference between reserve and cost', (t) => {
  const table: [job: ReturnType<typeof job>, movement: Movement | null][] = [
    [job('started', 5, 0), null],
    [job('completed', 5, 5), null],
    [job('completed', 5, 3), { kind: 'job_refund', amount: 2 }],
    [job('completed', 5, 0), { kind: 'job_refund', amount: 5 }],
    [job('completed', 5, 9), { kind: 'job_overage', amount: -4 }],
    [job('completed', 0, 1), { kind: 'job_overage', amount: -1 }],
    [job('completed', 0, 0), null],
    [job('failed', 5, 0), { kind: 'job_release', amount: 5 }],
    [job('failed', 5, 5), null],
    [job('failed', 0, 0), null],
    [job('failed', 5, 0, 'expired'), { kind: 'job_expire', amount: 5 }],
    [job('completed', MAX_CREDITS, 0), { kind: 'job_refund', amount: MAX_CREDITS }],
    [job('completed', 0, MAX_CREDITS), { kind: 'job_overage', amount: -MAX_CREDITS }],
  ]
  for (const [ended, movement] of table) t.strictSame(settlement(ended), movement, JSON.stringify(ended))
  t.end()
})

t.test('what gives a hold back is named after how the job ended', (t) => {
  t.equal(refundKind(completion(3)), 'job_refund')
  t.equal(refundKind(failure(true)), 'job_release')
  t.equal(refundKind(failure(false)), 'job_release')
  t.equal(refundKind({ status: 'failed', failure_reason: 'expired' }), 'job_expire')
  t.end()
})

t.test('a failure costs nothing, or what was reserved', (t) => {
  t.strictSame(failure(true), { status: 'failed', actual_cost: 0, failure_reason: null })
  t.strictSame(failure(false), { status: 'failed', actual_cost: null, failure_reason: null })
  t.strictSame(completion(7), { status: 'completed', actual_cost: 7, failure_reason: null })
  t.end()
})

t.test('a repeat ends the same way at the same cost', (t) => {
  t.ok(isRepeat(job('completed', 5, 3), completion(3)))
  t.notOk(isRepeat(job('completed', 5, 3), completion(4)))
  t.notOk(isRepeat(job('completed', 5, 0), failure(true)))
  t.notOk(isRepeat(job('completed', 5, 5), failure(false)))
  t.ok(isRepeat(job('failed', 5, 0), failure(true)))
  t.ok(isRepeat(job('failed', 5, 5), failure(false)))
  t.notOk(isRepeat(job('failed', 5, 0), failure(false)))
  t.notOk(isRepeat(job('failed', 5, 5), failure(true)))
  t.notOk(isRepeat(job('failed', 5, 5), completion(5)))
  t.ok(isRepeat(job('failed', 0, 0), failure(true)) && isRepeat(job('failed', 0, 0), failure(false)), 'of nothing')
  t.end()
})

t.test('what the database writes is what the rules say', async (t) => {
  const { app } = await start(t)
  const amount = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constantFrom(0, 1, 1e12, 1e12 + 1))
  const ending = fc.oneof(amount.map(completion), fc.boolean().map(failure))
  const ada = await personWith(app, 2 ** 52)
  const property = fc.asyncProperty(amount, ending, async (reserved, wish) => {
    const { credits } = await ada.balance()
    const { job_id } = (await ada.reserve(reserved)).json()
    const reply =
      wish.status === 'completed'
        ? await ada.complete(job_id, wish.actual_cost ?? 0)
        : await ada.fail(job_id, wish.actual_cost === 0)
    const ended = reply.json()
    const expected = settlement(job(wish.status, reserved, wish.actual_cost ?? reserved))
    const { entries } = (await ada.get('/api/wallet/entries?limit=2')).json()
    const [written] = entries.filter((entry: { job_id: string; kind: string }) => {
      return entry.job_id === job_id && entry.kind !== 'job_reserve'
    })
    const movement = written ? { kind: written.kind, amount: written.amount } : null
    if (JSON.stringify([movement, ended.moved]) !== JSON.stringify([expected, expected])) {
      throw new Error(`moved ${JSON.stringify([movement, ended.moved])}, not ${JSON.stringify(expected)}`)
    }
    if (ended.credits !== credits - (wish.actual_cost ?? reserved)) throw new Error(`left ${ended.credits}`)
  })
  await fc.assert(property, { numRuns: 80 })
})
