import { hostname } from 'node:os'
import { text } from 'node:stream/consumers'
import type { components } from '../../../client/src/api-types.d.ts'
import { openApi, take } from '../api.ts'
import { fetchToken, type Started, startLogin } from '../device-login.ts'
import { Failure, usage } from '../failure.ts'
import { type Focus, type Source, tokenOfEnvironment, warnOfExpiry } from '../focus.ts'
import { creditsText, type Line, line, moment, print, printFields, printJson, remark } from '../output.ts'
import { isToken, type Login, loginFile, prepareFolder, readLogin, removeLogin, writeLogin } from '../store.ts'

/** Time limit of requests, in ms. After a timeout, a poll can be repeated within the minute for which the server repeats the token. */
const LOGIN_TIMEOUT = 10_000
const SCOPES = ['account', 'oauth', 'admin']

/** Signs in and stores the token. @throws {Failure} any error that ends a login; config_unwritable */
export async function login(
  focus: Focus,
  options: { browser: boolean; scope?: string; withToken?: boolean },
): Promise<void> {
  const { server } = focus
  const scope = readScopes(options.scope)
  await refuseWithEnvironment('login')
  await prepareFolder()
  if (options.withToken) return loginWithToken(focus)
  const before = await loginBefore(server)
  const api = openApi(server, {}, LOGIN_TIMEOUT)
  const started = await startLogin(api, server, { client_name: `focus on ${hostname()}`.slice(0, 100), scope })
  const granted = await approved(started)
  const login = { server, ...granted }
  try {
    await writeLogin(login)
  } catch (error) {
    await revoke(login).catch(() => {})
    throw error
  }
  // The previous token is revoked; otherwise it would stay valid unnoticed.
  if (before) await revoke(before).catch(() => remark(line`The token of the previous login could not be revoked.`))
  await reportLogin(focus)

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

async function reportLogin(focus: Focus): Promise<void> {
  const who = await identify(focus)
  if (focus.json) return printJson(who)
  const { clerk_id, credits } = who.account
  print(line`Signed in to ${focus.server} as ${who.name ?? clerk_id}, with ${creditsText(credits)}.`)
  remark(line`The token is stored in ${loginFile(focus.server)}.`)
}

/** Stores a personal access token that was created elsewhere. @throws {Failure} usage; the server's error if it is not valid */
async function loginWithToken(focus: Focus): Promise<void> {
  const { server } = focus
  const how = `Example: ${focus.hint('login', '--with-token')} < token.txt`
  if (process.stdin.isTTY) throw usage('--with-token reads the token from a pipe or a file', how)
  const token = (await text(process.stdin)).trim()
  if (!isToken(token)) throw usage('Standard input is not a token', how)
  const { tokens } = await take(server, openApi(server, { token }, LOGIN_TIMEOUT).GET('/api/tokens'))
  const current = tokens.find((candidate) => candidate.current)
  if (!current)
    throw usage('This is a session token, which expires in a minute, not a personal access token (focus_pat_…)')
  // The token of the previous login is not revoked, because it may be in use elsewhere.
  await writeLogin({ server, token, expires_at: current.expires_at })
  await reportLogin(focus)
}

/** The scopes to ask for, separated by spaces. Includes `account`, which whoami and most commands need. @throws {Failure} usage */
function readScopes(given = ''): string {
  const scopes = given.split(/[\s,]+/).filter(Boolean)
  const unknown = scopes.find((scope) => !SCOPES.includes(scope))
  if (unknown !== undefined) throw usage(`--scope must be of ${SCOPES.join(', ')}, not ${unknown}`)
  return [...new Set(['account', ...scopes])].join(' ')
}

/** @throws {Failure} token_from_environment */
async function refuseWithEnvironment(command: string): Promise<void> {
  const source = (await tokenOfEnvironment())?.source
  if (!source) return
  throw new Failure(
    'token_from_environment',
    `${source} is set and takes precedence over a login, so ${command} would have no effect`,
    { hint: `Unset ${source} first.` },
  )
}

async function loginBefore(server: string): Promise<Login | undefined> {
  try {
    return await readLogin(server, { toRevoke: true })
  } catch (error) {
    remark(line`${(error as Error).message}; this login replaces it.`)
    return undefined
  }
}

/** Revokes the token of a login. @returns null: it is revoked; otherwise why the server refused it, such as `token_expired` */
async function revoke({ server, token }: Login): Promise<string | null> {
  const api = openApi(server, { token }, LOGIN_TIMEOUT)
  try {
    await take(server, api.DELETE('/api/tokens/{id}', { params: { path: { id: 'current' } } }))
    return null
  } catch (error) {
    if (!(error instanceof Failure) || error.details.status !== 401) throw error
    return error.code
  }
}

const ENDED: Record<string, string> = {
  token_expired: 'Its token had expired.',
  token_revoked: 'Its token had been revoked before.',
}

/** Revokes the token and deletes the login. @throws {Failure} server_unreachable and others; the login is kept unless `force` is set */
export async function logout(focus: Focus, { force = false }: { force?: boolean }): Promise<void> {
  const { server } = focus
  await refuseWithEnvironment('logout')
  const login = await readLogin(server, { toRevoke: true }).catch(async (error) => {
    if (error instanceof Failure && error.code === 'config_corrupt') await removeLogin(server)
    throw error
  })
  if (!login) return say(line`You are not signed in to ${server}.`, false)
  let refused: string | null
  try {
    refused = await revoke(login)
  } catch (error) {
    if (!force) {
      const { code, message, details } = error as Failure
      const hint = `Try again later, or delete the login here with ${focus.hint('logout', '--force')} and revoke it on ${server}/account.`
      throw new Failure(code, `The token was not revoked. ${message}`, { details, hint })
    }
    await removeLogin(server)
    return say(line`Deleted the login to ${server}. Its token was not revoked and may work until it expires.`, false)
  }
  await removeLogin(server)
  if (refused === null) return say(line`Signed out of ${server} and revoked its token.`, true)
  say(line`Signed out of ${server}. ${ENDED[refused] ?? 'Its token was no longer valid.'}`, refused === 'token_revoked')

  function say(text: Line, revoked: boolean): void {
    if (focus.json) printJson({ server, revoked })
    else print(text)
  }
}

export async function whoami(focus: Focus): Promise<void> {
  const who = await identify(focus)
  if (focus.json) return printJson(who)
  const { account, name, token } = who
  printFields({
    Name: name ?? undefined,
    'Clerk id': account.clerk_id,
    Account: account.id,
    Plan: account.plan,
    Credits: account.held ? `${account.credits}, and ${account.held} held by running jobs` : account.credits,
    Server: focus.server,
    Token: token ? `${token.name} (…${token.last_four}), scope ${token.scopes.join(', ')}` : who.source,
    Expires: token ? moment(token.expires_at) : undefined,
    'Stored in': who.file ?? undefined,
  })
  // For a stored login, `token()` has warned already.
  if (token && who.source !== 'login') await warnOfExpiry(token.expires_at, `It is the one in ${who.source}.`)
}

type Who = {
  server: string
  source: Source
  /** The file with the token; null with FOCUS_TOKEN */
  file: string | null
  /** The server's name for the person at the login; null: unknown, or a token from the environment */
  name: string | null
  account: components['schemas']['Account']
  /** null: a session token, not a personal access token */
  token: { id: string; name: string; last_four: string; scopes: string[]; expires_at: string } | null
}

async function identify(focus: Focus): Promise<Who> {
  const [{ source, file, name }, { account }, { tokens }] = await Promise.all([
    focus.token(),
    focus.ask((api) => api.GET('/api/wallet')),
    focus.ask((api) => api.GET('/api/tokens')),
  ])
  return { server: focus.server, source, file, name, account, token: tokens.find(({ current }) => current) ?? null }
}

export async function printToken(focus: Focus): Promise<void> {
  const { token, expires_at } = await focus.token()
  if (focus.json) printJson({ server: focus.server, token, expires_at })
  else print(line`${token}`)
}
