import type { Test } from 'tap'
import { startLogin } from './device.ts'
import { type App, start } from './start.ts'

export const OURS = 'http://localhost:3000'
export const ALLOWED = 'http://localhost:5173'
/** Text that a page must escape. */
export const HOSTILE = `"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;`

export type Fields = Record<string, string>

/** The service and somebody signed in to it, with GET and form POST as their browser sends them. */
export const opened = async (t: Test, env: Fields = {}) => {
  const service = await start(t, { ALLOWED_ORIGINS: ALLOWED, ...env })
  const { app } = service
  const ada = await service.person()
  return {
    ...service,
    ada,
    /** As a browser asks for an address that somebody typed */
    see: (url: string, cookie = ada.cookie) => app.inject({ url, headers: { cookie, 'sec-fetch-site': 'none' } }),
    post: (url: string, fields: Fields, headers: Fields = { origin: OURS }, cookie = ada.cookie) =>
      app.inject({
        method: 'POST',
        url,
        payload: new URLSearchParams(fields).toString(),
        headers: { cookie, 'content-type': 'application/x-www-form-urlencoded', ...headers },
      }),
  }
}

let devices = 0
/** A device on this machine: /device shows no warning about another address. Each has a loopback address of its own. */
export const startLoginHere = (app: App, asked: object = {}, remoteAddress = `127.0.1.${++devices}`) =>
  startLogin(app, asked, remoteAddress)

/** Logs a device in and approves it by the form of /device. Returns its token. */
export async function logInByPage({ app, post }: Awaited<ReturnType<typeof opened>>, asked: object, cookie?: string) {
  const { user_code, poll } = await startLoginHere(app, asked)
  await post('/device', { shown: user_code, user_code, action: 'approve' }, { origin: OURS }, cookie)
  return (await poll()).json().token as string
}
