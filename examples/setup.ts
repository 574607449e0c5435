import { createFocusAdmin } from '@thefocus/client/admin'

/**
 * What an operator and a person do by hand elsewhere. It works with the local identity of `npm start` alone, where any e-mail address
 * signs in, and admin@example.com is the administrator.
 */

export const FOCUS_URL = process.env.FOCUS_URL ?? 'http://localhost:3000'

/** Signs somebody in. What it returns gives a new token each time; a token lives for a minute. */
export async function signIn(email: string): Promise<() => Promise<{ token: string; expires_at: string }>> {
  const reply = await fetch(`${FOCUS_URL}/signin`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email }),
  }).catch((cause) => {
    throw new Error(`Nothing answers at ${FOCUS_URL}. Start the service first, with npm start.`, { cause })
  })
  if (reply.status !== 303) throw new Error(`No local sign-in at ${FOCUS_URL}: ${await reply.text()}`)
  const cookie = reply.headers.getSetCookie().join('; ')
  return async () => (await (await fetch(`${FOCUS_URL}/api/sessionToken`, { headers: { cookie } })).json()) as never
}

/** Registers an app, or changes it. What is not given stays. */
export async function registerApp(app: Parameters<ReturnType<typeof createFocusAdmin>['setApp']>[0]) {
  const admin = createFocusAdmin({ url: FOCUS_URL, getToken: await signIn('admin@example.com') })
  return (await admin.setApp(app)).app
}
