import { createHash, randomBytes } from 'node:crypto'
import { OURS } from './pages.ts'
import { type App, type Person, unique } from './start.ts'

type Fields = Record<string, string>

/** A registered app that is an OAuth client; each test has its own. */
export async function registerClient(admin: Person, more: object = {}) {
  const slug = unique('client')
  const redirect_uri = `https://${slug}.example.com/callback`
  const saved = await admin.put(`/api/admin/apps/${slug}`, {
    name: `The ${slug}`,
    starter_credits: 0,
    redirect_uris: [redirect_uri],
    ...more,
  })
  if (saved.statusCode !== 200) throw new Error(saved.body)
  return { client_id: slug, redirect_uri }
}

export const form = (fields: Fields | [string, string][]) => ({
  method: 'POST' as const,
  payload: new URLSearchParams(fields).toString(),
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
})

/** What a client does that follows the rules, by hand, so that a test can break any of them. */
export function clientOf(app: App, { client_id, redirect_uri }: { client_id: string; redirect_uri: string }) {
  const code_verifier = randomBytes(32).toString('base64url')
  const asked: Fields = {
    response_type: 'code',
    client_id,
    redirect_uri,
    state: 'xyz',
    code_challenge: createHash('sha256').update(code_verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }
  const token = (fields: Fields | [string, string][]) => app.inject({ url: '/oauth/token', ...form(fields) })
  /** `undefined` takes a parameter away */
  const without = (fields: Record<string, string | undefined>): Fields =>
    Object.fromEntries(Object.entries(fields).filter((pair): pair is [string, string] => pair[1] !== undefined))

  return {
    asked,
    code_verifier,
    token,
    /** Goes to /oauth/authorize as a browser does */
    visit: (person: { cookie: string } | undefined, more: Record<string, string | undefined> = {}) =>
      app.inject({
        url: '/oauth/authorize',
        query: without({ ...asked, ...more }),
        headers: { ...(person && { cookie: person.cookie }) },
      }),
    /** Presses a button of the consent page, which has been in front for a while */
    press: (person: Person, action: string, more: Fields = {}, headers: Fields = { origin: app.config.publicUrl }) =>
      app.inject({
        url: '/oauth/authorize',
        ...form({
          ...asked,
          account: person.id,
          in_front: 'yes',
          action,
          ...(more.scope?.includes('spend') && { budget: '100' }),
          ...more,
        }),
        headers: { cookie: person.cookie, 'content-type': 'application/x-www-form-urlencoded', ...headers },
      }),
    async code(person: Person, more: Fields = {}): Promise<string> {
      const answer = await this.press(person, 'approve', { sure: 'yes', ...more })
      const code = parametersOf(answer.headers.location).code
      if (!code) throw new Error(`no code: ${answer.statusCode} ${answer.headers.location ?? answer.body}`)
      return code
    },
    redeem: (code: string, more: Record<string, string | undefined> = {}) =>
      token(without({ grant_type: 'authorization_code', client_id, redirect_uri, code, code_verifier, ...more })),
    refresh: (refresh_token: string, more: Record<string, string | undefined> = {}) =>
      token(without({ grant_type: 'refresh_token', client_id, refresh_token, ...more })),
    revoke: (value: string, more: Fields = {}) =>
      app.inject({ url: '/oauth/revoke', ...form({ token: value, client_id, ...more }) }),
    /** A whole login: the tokens of a person's approval */
    async logIn(person: Person, more: Fields = {}): Promise<{ access_token: string; refresh_token: string }> {
      const answer = await this.redeem(await this.code(person, more))
      if (answer.statusCode !== 200) throw new Error(answer.body)
      return answer.json()
    },
  }
}

/** The query of a redirect. */
export const parametersOf = (location: unknown): Fields =>
  Object.fromEntries(new URL(String(location), OURS).searchParams)

export const wallet = (app: App, token: string) =>
  app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` } })
