import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { generate } from 'selfsigned'
import type { Test } from 'tap'
import type { startClerk } from './clerk-stand-in.ts'
import { unique } from './start.ts'

export const HOST = 'clerk.focus.test'
const PASSWORD = 'correct horse battery'
const MODULES = fileURLToPath(new URL('../../node_modules/@clerk', import.meta.url))

interface Person {
  sub: string
  sid: string
}

/**
 * A stand-in for Clerk's frontend host: the real ClerkJS and its form from npm, and the few answers that they need to
 * find somebody signed in, to sign somebody in by password, and to sign out. One browser at a time.
 * @param clerk whose Backend API knows the sessions and signs the tokens
 */
export async function startClerkFrontend(
  t: Test,
  clerk: Pick<Awaited<ReturnType<typeof startClerk>>, 'signIn' | 'token' | 'sessions'>,
) {
  const { private: key, cert } = await generate([{ name: 'commonName', value: HOST }])
  const state = { person: undefined as Person | undefined, email: 'ada@example.com' }
  let signIn: object | null = null
  const calls: string[] = []
  /** Paths that are never answered, or refused */
  const faults: { silent?: RegExp; broken?: RegExp } = {}

  const server = createServer({ key, cert }, (request, response) => {
    answer(request, response).catch((error) => response.destroy(error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', `https://${HOST}`)
    const method = searchParams.get('_method') ?? request.method
    const call = `${method} ${pathname}`
    calls.push(call)
    if (faults.silent?.test(call)) return
    response.setHeader('access-control-allow-origin', request.headers.origin ?? '*')
    response.setHeader('access-control-allow-credentials', 'true')
    response.setHeader('access-control-allow-headers', 'authorization, content-type')
    response.setHeader('access-control-expose-headers', 'authorization')
    if (request.method === 'OPTIONS') return void response.writeHead(204).end()
    if (faults.broken?.test(call)) return void response.writeHead(500).end()
    const [, name, file] = /^\/npm\/@clerk\/(ui|clerk-js)@\d[^/]*\/dist\/([\w.-]+\.js)$/.exec(pathname) ?? []
    if (name && file) {
      const script = await readFile(join(MODULES, name, 'dist', file))
      return void response.writeHead(200, { 'content-type': 'text/javascript' }).end(script)
    }
    const body = await resource(call, new URLSearchParams(await text(request)))
    response.writeHead(body ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body ?? { errors: [{ code: 'not_found', message: call }] }))
  }

  async function resource(call: string, form: URLSearchParams): Promise<object | undefined> {
    const { person } = state
    if (/^(GET|PATCH) \/v1\/environment$/.test(call)) return ENVIRONMENT
    if (call === 'POST /v1/dev_browser') return { id: 'dvb_1', object: 'dev_browser' }
    if (call === 'GET /v1/client' || call === 'POST /v1/client') return { response: await client(), client: null }
    if (/^POST \/v1\/client\/sessions\/\w+\/tokens$/.test(call) && person) {
      return { object: 'token', jwt: await clerk.token({ ...person }) }
    }
    if (/^POST \/v1\/client\/sessions\/\w+\/touch$/.test(call) && person) {
      return { response: await session(person), client: await client() }
    }
    if (call === 'DELETE /v1/client/sessions') {
      if (person) clerk.sessions.set(person.sid, { userId: person.sub, status: 'ended' })
      state.person = undefined
      return { response: await client(), client: await client() }
    }
    if (call === 'POST /v1/client/sign_ins') {
      state.email = form.get('identifier') ?? ''
      signIn = signInAttempt('needs_first_factor', state.email)
      if (form.get('password')) return attempt(form.get('password'))
      return { response: signIn, client: await client() }
    }
    if (/^POST \/v1\/client\/sign_ins\/\w+\/attempt_first_factor$/.test(call)) return attempt(form.get('password'))
    return undefined
  }

  async function attempt(password: string | null): Promise<object | undefined> {
    if (password !== PASSWORD) return undefined
    state.person = clerk.signIn()
    const response = signInAttempt('complete', state.email, state.person.sid)
    signIn = null
    return { response, client: await client() }
  }

  async function client(): Promise<object> {
    const { person } = state
    return {
      object: 'client',
      id: 'client_1',
      sessions: person ? [await session(person)] : [],
      sign_in: signIn,
      sign_up: null,
      last_active_session_id: person?.sid ?? null,
      cookie_expires_at: null,
      ...created(),
    }
  }

  async function session({ sub, sid }: Person): Promise<object> {
    return {
      object: 'session',
      id: sid,
      status: 'active',
      expire_at: Date.now() + 86_400_000,
      abandon_at: Date.now() + 86_400_000,
      last_active_at: Date.now(),
      last_active_token: { object: 'token', jwt: await clerk.token({ sub, sid }) },
      actor: null,
      tasks: null,
      user: userOf(sub, state.email),
      public_user_data: { first_name: null, last_name: null, image_url: '', has_image: false, identifier: state.email },
      ...created(),
    }
  }

  return {
    /** The port that the host's name must resolve to */
    port: (server.address() as AddressInfo).port,
    password: PASSWORD,
    publishableKey: `pk_test_${Buffer.from(`${HOST}$`).toString('base64')}`,
    /** Whoever this browser is signed in as at Clerk */
    state,
    calls,
    faults,
  }
}

const created = () => ({ created_at: Date.now(), updated_at: Date.now() })

const signInAttempt = (status: string, identifier: string, created_session_id: string | null = null) => ({
  object: 'sign_in_attempt',
  id: unique('sia').replaceAll('-', '_'),
  status,
  supported_identifiers: ['email_address'],
  supported_first_factors: [{ strategy: 'password' }],
  supported_second_factors: null,
  first_factor_verification: null,
  second_factor_verification: null,
  identifier,
  user_data: null,
  created_session_id,
})

const userOf = (id: string, email_address: string) => ({
  object: 'user',
  id,
  first_name: null,
  last_name: null,
  username: null,
  image_url: '',
  has_image: false,
  primary_email_address_id: 'idn_1',
  email_addresses: [
    {
      object: 'email_address',
      id: 'idn_1',
      email_address,
      verification: { status: 'verified', strategy: 'admin' },
      linked_to: [],
    },
  ],
  phone_numbers: [],
  web3_wallets: [],
  passkeys: [],
  external_accounts: [],
  enterprise_accounts: [],
  organization_memberships: [],
  password_enabled: true,
  ...created(),
})

const attribute = (used: boolean) => ({
  enabled: used,
  required: used,
  used_for_first_factor: used,
  first_factors: [],
  used_for_second_factor: false,
  second_factors: [],
  verifications: [],
  verify_at_sign_up: false,
})

const ENVIRONMENT = {
  object: 'environment',
  id: 'env_1',
  maintenance_mode: false,
  auth_config: {
    object: 'auth_config',
    id: 'aconf_1',
    single_session_mode: true,
    claimed_at: null,
    reverification: true,
  },
  display_config: {
    object: 'display_config',
    id: 'display_1',
    instance_environment_type: 'development',
    application_name: 'Focus',
    branded: false,
    preferred_sign_in_strategy: 'password',
    captcha_public_key: null,
    support_email: '',
    home_url: '',
    sign_in_url: '',
    sign_up_url: '',
    after_sign_in_url: '',
    after_sign_up_url: '',
    after_sign_out_one_url: '',
    theme: { general: {}, buttons: {}, accounts: {} },
  },
  user_settings: {
    attributes: {
      email_address: { ...attribute(true), first_factors: ['email_code'] },
      password: { ...attribute(true), used_for_first_factor: false },
    },
    social: {
      oauth_x: {
        enabled: true,
        required: false,
        authenticatable: true,
        block_email_subaddresses: false,
        strategy: 'oauth_x',
        not_selectable: false,
        deprecated: false,
        name: 'X / Twitter',
        logo_url: null,
      },
    },
    saml: { enabled: false },
    enterprise_sso: { enabled: false },
    sign_in: { second_factor: { required: false, enabled: false } },
    sign_up: { captcha_enabled: false, mode: 'public', progressive: true, legal_consent_enabled: false },
    password_settings: { min_length: 8, max_length: 72 },
    passkey_settings: { allow_autofill: false, show_sign_in_button: false },
    actions: { delete_self: false, create_organization: false },
    username_settings: { min_length: 4, max_length: 64 },
  },
  organization_settings: { enabled: false },
  commerce_settings: { billing: { user: { enabled: false }, organization: { enabled: false } } },
  api_keys_settings: { enabled: false },
}
