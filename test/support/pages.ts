import type { Test } from 'tap'
import { type App, start } from './start.ts'

export const OURS = 'http://localhost:3000'
export const ALLOWED = 'http://localhost:5173'
/** What a page must show as text. */
export const HOSTILE = `"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;`

export type Fields = Record<string, string>

/** The service, somebody signed in to it, and the two things that their browser does. */
export const opened = async (t: Test, env: Fields = {}) => {
  const service = await start(t, { ALLOWED_ORIGINS: ALLOWED, ...env })
  const { app } = service
  const ada = await service.person()
  return {
    ...service,
    ada,
    see: (url: string, cookie = ada.cookie) => app.inject({ url, headers: { cookie } }),
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
/** By default from this machine, each from an address of its own: starts are counted by address. */
export const startLogin = async (app: App, payload: object = {}, remoteAddress = `127.0.1.${++devices}`) =>
  (await app.inject({ method: 'POST', url: '/api/device/start', payload, remoteAddress })).json() as {
    device_code: string
    user_code: string
  }

/** From a device that asks to the token it gets. */
export async function logIn({ app, post }: Awaited<ReturnType<typeof opened>>, payload: object, cookie?: string) {
  const { user_code, device_code } = await startLogin(app, payload)
  const fields = { shown: user_code, user_code, action: 'approve' }
  await post('/device', fields, { origin: OURS }, cookie)
  const polled = await app.inject({ method: 'POST', url: '/api/device/poll', payload: { device_code } })
  return polled.json().token as string
}
