import t from 'tap'
import { start } from './support/start.ts'

for (const [name, env] of [
  ['Postgres', {}],
  ['PGlite', { DATABASE_URL: '' }],
] as const) {
  t.test(`on ${name}: from signing in to a settled, a failed and a refused job`, async (t) => {
    const { person } = await start(t, { ...env, TOPUP_URL: 'https://pay.example.com/credits' })
    const ada = await person()

    const wallet = (await ada.get('/api/wallet?app=video')).json()
    t.match(wallet, { account: { plan: 'free', credits: 20, held: 0 }, app_grant: { slug: 'video', granted: true } })

    const created = await ada.post('/api/jobs', {
      app: 'video',
      action: 'render',
      cost_estimate: 5,
      metadata: { description: 'Render preview clip', previewUrl: 'https://video.example.com/1.jpg' },
    })
    t.equal(created.statusCode, 200)
    const { job_id } = created.json()
    t.strictSame(await ada.balance(), { credits: 15, held: 5 })

    const completed = await ada.complete(job_id, 3, { description: 'Render completed', durationMs: 1200 })
    t.match(completed.json(), {
      job: {
        id: job_id,
        status: 'completed',
        reserved: 5,
        actual_cost: 3,
        metadata: { description: 'Render completed', previewUrl: 'https://video.example.com/1.jpg', durationMs: 1200 },
      },
      moved: { kind: 'job_refund', amount: 2 },
      credits: 17,
      held: 0,
    })

    const second = (await ada.reserve(17)).json().job_id
    const refused = await ada.reserve(1)
    t.equal(refused.statusCode, 402)
    t.match(refused.json(), {
      error: 'insufficient_credits',
      required: 1,
      available: 0,
      topup_url: 'https://pay.example.com/credits',
    })
    t.match((await ada.fail(second)).json(), { job: { status: 'failed', actual_cost: 0 }, credits: 17 })

    const { jobs } = (await ada.get('/api/jobs?app=video')).json()
    t.strictSame(
      jobs.map(({ id, status }: { id: string; status: string }) => [id, status]),
      [
        [second, 'failed'],
        [job_id, 'completed'],
      ],
    )
    const { entries } = (await ada.get('/api/wallet/entries')).json()
    t.strictSame(
      entries.map((entry: { kind: string; amount: number; balance_after: number }) => [
        entry.kind,
        entry.amount,
        entry.balance_after,
      ]),
      [
        ['job_release', 17, 17],
        ['job_reserve', -17, 0],
        ['job_refund', 2, 17],
        ['job_reserve', -5, 15],
        ['starter_grant', 20, 20],
      ],
    )
  })
}
