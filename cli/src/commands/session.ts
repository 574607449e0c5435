import { hostname } from 'node:os'
import { openApi, take } from '../api.ts'
import type { components } from '../api-types.ts'
import { fetchToken, type Started, startLogin } from '../device-login.ts'
import { Failure, usage } from '../failure.ts'
import type { Focus } from '../focus.ts'
import { day, plain, print, printFields, printJson, remark } from '../output.ts'
import { type Login, prepareFolder, readLogin, removeLogin, writeLogin } from '../store.ts'

/** A poll that stalls must leave time to repeat it within the minute in which the token is answered again. In ms. */
const LOGIN_PATIENCE = 10_000
const SCOPES = ['account', 'oauth', 'admin']

/** @throws {Failure} whatever ends a login, also a login that cannot be kept */
export async function login(focus: Focus, options: { browser: boolean; scope?: string }): Promise<void> {
  const { server } = focus
  const scope = readScopes(options.scope)
  refuseWithEnvironment('log in')
  await prepareFolder()
  const before = await loginBefore(server)
  const api = openApi(server, {}, LOGIN_PATIENCE)
  const started = await startLogin(api, server, { client_name: `focus on ${hostname()}`.slice(0, 100), scope })
  const granted = await approved(started)
  const kept = { server, token: granted.token, expires_at: granted.expires_at }
  try {
    await writeLogin(kept)
  } catch (error) {
    await revoke(kept).catch(() => {})
    throw error
  }
  // One machine, one token: what it replaces would live on unseen.
  if (before) await revoke(before).catch(() => remark('The login before this one could not be revoked.'))
  const who = await identify(focus)
  if (focus.json) return printJson(who)
  print(`Signed in to ${server} as ${plain(who.account.clerk_id)}, with ${who.account.credits} credits.`)

  async function approved(started: Started) {
    const { openBrowser, showCode, showWaiting } = await import('../login-screen.ts')
    await showCode(started)
    if (options.browser) await openBrowser(started.link)
    const waiting = await showWaiting(started.expires_in)
    try {
      return await fetchToken(api, server, started, waiting.trouble)
    } catch (error) {
      if (!(error instanceof Failure) || error.hint) throw error
      const { code, message, exitCode, details } = error
      throw new Failure(code, message, { exitCode, details, hint: `Start again: ${focus.hint('login')}` })
    } finally {
      waiting.stop()
    }
  }
}

/** `account` is always among them: without it nobody could be told who they are. */
function readScopes(given = ''): string {
  const asked = given.split(/[\s,]+/).filter(Boolean)
  const odd = asked.find((scope) => !SCOPES.includes(scope))
  if (odd !== undefined) throw usage(`--scope knows ${SCOPES.join(', ')}, not ${odd}`)
  return [...new Set(['account', ...asked])].join(' ')
}

function refuseWithEnvironment(what: string): void {
  if (!process.env.FOCUS_TOKEN?.trim()) return
  throw new Failure('token_from_environment', `FOCUS_TOKEN is set, and would be used whatever you ${what} to`, {
    hint: 'Unset FOCUS_TOKEN first.',
  })
}

async function loginBefore(server: string): Promise<Login | undefined> {
  try {
    return await readLogin(server, { toRevoke: true })
  } catch (error) {
    remark(`${(error as Error).message}; this login replaces it.`)
    return undefined
  }
}

/** A token that is revoked or has expired already is what was wanted. */
async function revoke({ server, token }: Login): Promise<void> {
  const api = openApi(server, { token }, LOGIN_PATIENCE)
  try {
    await take(server, api.DELETE('/api/tokens/{id}', { params: { path: { id: 'current' } } }))
  } catch (error) {
    if (!(error instanceof Failure) || error.details.status !== 401) throw error
  }
}

/** @throws {Failure} server_unreachable and the like: then nothing is forgotten, unless by force */
export async function logout(focus: Focus, { force = false }: { force?: boolean }): Promise<void> {
  const { server } = focus
  refuseWithEnvironment('log out of')
  const kept = await readLogin(server, { toRevoke: true }).catch(async (error) => {
    if (error instanceof Failure && error.code === 'config_corrupt') await removeLogin(server)
    throw error
  })
  if (!kept) return say(`You are not signed in to ${server}.`, false)
  try {
    await revoke(kept)
  } catch (error) {
    if (!force) {
      const { code, message, details } = error as Failure
      const hint = `Try again later, or forget it here and revoke it on ${server}/account: ${focus.hint('logout --force')}`
      throw new Failure(code, `The token was not revoked. ${message}`, { details, hint })
    }
    await removeLogin(server)
    return say(`Forgot the login to ${server}; its token was not revoked and may work until it expires.`, false)
  }
  await removeLogin(server)
  say(`Signed out of ${server}; its token is revoked.`, true)

  function say(text: string, revoked: boolean): void {
    if (focus.json) printJson({ server, revoked })
    else print(text)
  }
}

export async function whoami(focus: Focus): Promise<void> {
  const who = await identify(focus)
  if (focus.json) return printJson(who)
  const { account, token } = who
  printFields({
    'Clerk id': account.clerk_id,
    Account: account.id,
    Plan: account.plan,
    Credits: account.held ? `${account.credits}, and ${account.held} held by jobs` : account.credits,
    Server: focus.server,
    Token: token ? `${token.name} (…${token.last_four}), for ${token.scopes.join(', ')}` : who.source,
    Expires: token ? day(token.expires_at) : undefined,
  })
}

type Who = {
  server: string
  source: 'login' | 'FOCUS_TOKEN'
  account: components['schemas']['Account']
  /** null: not a personal access token, but a session's */
  token: { id: string; name: string; last_four: string; scopes: string[]; expires_at: string } | null
}

async function identify(focus: Focus): Promise<Who> {
  const [{ source }, { account }, { tokens }] = await Promise.all([
    focus.token(),
    focus.ask((api) => api.GET('/api/wallet')),
    focus.ask((api) => api.GET('/api/tokens')),
  ])
  return { server: focus.server, source, account, token: tokens.find(({ current }) => current) ?? null }
}

export async function printToken(focus: Focus): Promise<void> {
  const { token, expires_at } = await focus.token()
  if (focus.json) printJson({ server: focus.server, token, expires_at })
  else print(token)
}
