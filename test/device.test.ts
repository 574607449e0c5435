import t from 'tap'
import { start } from './support/start.ts'

for (const [name, env] of [
  ['Postgres', {}],
  ['PGlite', { DATABASE_URL: '' }],
] as const) {
  t.test(`on ${name}: a device asks, a person approves, the device fetches its token and uses it`, async (t) => {
    const { app, person } = await start(t, env)
    const ada = await person()
    const started = await app.inject({ method: 'POST', url: '/api/device/start', payload: { client_name: 'focus' } })
    t.equal(started.statusCode, 200, started.body)
    const { device_code, user_code } = started.json()
    const poll = () => app.inject({ url: `/api/device/poll?device_code=${device_code}` })
    const pending = await poll()
    t.equal(pending.statusCode, 202, pending.body)
    t.strictSame(pending.json(), { status: 'pending', interval: 5 })
    const completed = await ada.post('/api/device/complete', { user_code })
    t.equal(completed.statusCode, 200, completed.body)
    t.strictSame(completed.json(), { ok: true })
    const polled = await poll()
    t.equal(polled.statusCode, 200, polled.body)
    const { token } = polled.json()
    const wallet = await app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` } })
    t.equal(wallet.json().account.id, ada.id, wallet.body)
  })
}
