import { createFocusAdmin } from '@thefocus/client/admin'

/**
 * Does what an operator and a user do by hand elsewhere. It works only with the local identity of `npm start`, which accepts any e-mail
 * address, and in which admin@example.com is the administrator.
 */

export const FOCUS_URL = process.env.FOCUS_URL ?? 'http://localhost:3000'

/** Signs a person in. @returns gets a new session token at each call; a token is valid for a minute */
export async function signIn(email: string): Promise<() => Promise<{ token: string; expires_at: string }>> {
  const reply = await fetch(`${FOCUS_URL}/signin`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email }),
  }).catch((cause) => {
    throw new Error(`No service answers at ${FOCUS_URL}. Start it first, with npm start.`, { cause })
  })
  if (reply.status !== 303) throw new Error(`No local sign-in at ${FOCUS_URL}: ${await reply.text()}`)
  const cookie = reply.headers.getSetCookie().join('; ')
  return async () => (await (await fetch(`${FOCUS_URL}/api/sessionToken`, { headers: { cookie } })).json()) as never
}

/** Registers or changes an app. Absent fields stay as they are. */
export async function registerApp(app: Parameters<ReturnType<typeof createFocusAdmin>['setApp']>[0]) {
  const admin = createFocusAdmin({ url: FOCUS_URL, getToken: await signIn('admin@example.com') })
  return (await admin.setApp(app)).app
}
