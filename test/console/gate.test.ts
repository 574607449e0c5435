import type { Test } from 'tap'
import t from 'tap'
import { opened } from '../support/pages.ts'
import { earlier } from '../support/start.ts'

const PAGES = ['/console', '/console/accounts', '/console/nothing', '/console/']

/** What a browser sends. */
const asks = (url: string, cookie?: string, method: 'GET' | 'HEAD' | 'POST' | 'DELETE' | 'OPTIONS' = 'GET') => ({
  method,
  url,
  headers: { accept: 'text/html', 'sec-fetch-site': 'none', ...(cookie && { cookie }) },
})

/** An answer without what differs between any two: its request id, its time, and the path that was asked for. */
function plain({ statusCode, headers, body }: { statusCode: number; headers: object; body: string }, path: string) {
  const { 'x-request-id': id, date: _, 'content-length': _length, ...rest } = headers as Record<string, string>
  return [statusCode, rest, body.replaceAll(String(id), '').replaceAll(path, '')]
}

const open = async (t: Test) => {
  const service = await opened(t)
  return { ...service, admin: await service.admin() }
}

t.test('who is not signed in is sent to the sign-in, which leads back', async (t) => {
  const { app } = await open(t)
  for (const path of [...PAGES.slice(0, 3), '/console/accounts?sort=credits']) {
    const { statusCode, headers } = await app.inject(asks(path))
    t.equal(statusCode, 303)
    const target = new URL(String(headers.location), 'http://localhost:3000').searchParams.get('redirect_to')
    t.equal(target, `http://localhost:3000${path}`)
    const page = await app.inject(asks(String(headers.location)))
    t.match(page, { statusCode: 200, body: /Sign in as an administrator to open the console/ })
  }
})

t.test('for people who are no administrators the console is an unknown path, byte for byte', async (t) => {
  const { app, ada } = await open(t)
  for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS'] as const) {
    const unknown = plain(await app.inject(asks('/nothing', ada.cookie, method)), '/nothing')
    for (const path of PAGES) {
      if (method !== 'GET' && path === '/console/') continue
      t.strictSame(plain(await app.inject(asks(path, ada.cookie, method)), path), unknown, `${method} ${path}`)
    }
  }
})

t.test('a token opens no page, be it of an administrator', async (t) => {
  const { app, admin } = await open(t)
  for (const authorization of [admin.authorization, 'Bearer focus_pat_x']) {
    const { statusCode, headers } = await app.inject({ url: '/console', headers: { authorization } })
    t.match([statusCode, headers.location], [303, /^\/signin/])
  }
})

t.test('an administrator signs in again after twelve hours, and then comes back to the page', async (t) => {
  const { app, admin, db, person } = await open(t)
  const again = await person(admin.email)
  t.equal((await app.inject(asks('/console', again.cookie))).statusCode, 200)
  const age = (interval: string) =>
    db
      .updateTable('sessions')
      .set({ created_at: earlier('created_at', interval) })
      .where('account_id', '=', admin.id)
      .execute()
  await age('11 hours 59 minutes')
  t.equal((await app.inject(asks('/console', again.cookie))).statusCode, 200)
  await age('2 minutes')
  const { statusCode, headers, cookies } = await app.inject(asks('/console/audit', again.cookie))
  t.match([statusCode, headers.location], [303, /redirect_to=.*console%2Faudit/])
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  const signin = await app.inject(asks(String(headers.location), cookie))
  t.match(signin, { statusCode: 200, body: /You are signed out/ }, 'it does not sign them in by itself')
  t.equal((await app.inject(asks('/account', again.cookie))).statusCode, 303, 'the session has ended')
})

t.test('the account page leads administrators to the console, and nobody else', async (t) => {
  const { app, ada, admin } = await open(t)
  const link = '<a href="/console">'
  t.ok((await app.inject(asks('/account', admin.cookie))).body.includes(link))
  t.notOk((await app.inject(asks('/account', ada.cookie))).body.includes(link))
})

t.test('a closed account opens no page', async (t) => {
  const { app, admin, db } = await open(t)
  await db.updateTable('accounts').set({ closed_at: new Date() }).where('id', '=', admin.id).execute()
  const { statusCode, headers } = await app.inject(asks('/console', admin.cookie))
  t.match([statusCode, headers.location], [303, /^\/signin/])
  await db.updateTable('accounts').set({ closed_at: null }).where('id', '=', admin.id).execute()
})
