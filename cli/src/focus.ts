import { readFile } from 'node:fs/promises'
import type { Api } from './api.ts'
import { run } from './command-line.ts'
import { EXIT, Failure, usage } from './failure.ts'
import { DEFAULT_SERVER, readServer } from './server.ts'
import { isToken, loginFile, readLastServer, readLogin } from './store.ts'

/** The context of one run: the server, the credentials, and the output format. */

export interface GlobalOptions {
  server?: string
  json?: boolean
}

export interface Focus {
  /** The origin of the Focus API */
  server: string
  json: boolean
  /** A command line for a hint, quoted for the shell, with `--server` if this run has it */
  hint(...words: string[]): string
  /** The token to use. @throws {Failure} not_signed_in and token_expired (exit code 4), and as readLogin */
  token(): Promise<Credentials>
  /**
   * Sends a request with the token.
   * @param as `appKey`: also with the settle key in FOCUS_APP_KEY, if set; `alone`: with that key and without a token
   * @throws {Failure} as token(), and the server's errors
   */
  ask<T>(request: Ask<T>, as?: { appKey?: boolean; alone?: boolean }): Promise<T>
}

/** Where a token comes from: the stored login, or an environment variable. */
export type Source = 'login' | 'FOCUS_TOKEN' | 'FOCUS_TOKEN_FILE'

interface Credentials {
  token: string
  source: Source
  /** The file that the token was read from; null with FOCUS_TOKEN */
  file: string | null
  /** Known for a login only; null with a token from the environment */
  expires_at: string | null
  /** The server's name for the person at the login; null: unknown, or a token from the environment */
  name: string | null
}

type Ask<T> = (api: Api) => Promise<{ data?: T; error?: unknown; response: Response }>

const env = (name: string): string | undefined => process.env[name]?.trim() || undefined

/**
 * A token from the environment: FOCUS_TOKEN, or the content of the file that FOCUS_TOKEN_FILE names.
 * @throws {Failure} usage
 */
export async function tokenOfEnvironment(): Promise<Credentials | undefined> {
  const none = { expires_at: null, name: null }
  const token = env('FOCUS_TOKEN')
  if (token !== undefined) return { token: checked(token, 'FOCUS_TOKEN'), source: 'FOCUS_TOKEN', file: null, ...none }
  const file = env('FOCUS_TOKEN_FILE')
  if (file === undefined) return undefined
  const content = await readFile(file, 'utf8').catch((error) => {
    throw usage(`FOCUS_TOKEN_FILE cannot be read: ${error.message}`)
  })
  return {
    token: checked(content.trim(), 'The content of FOCUS_TOKEN_FILE'),
    source: 'FOCUS_TOKEN_FILE',
    file,
    ...none,
  }
}

function checked(token: string, where: string): string {
  if (!isToken(token)) throw usage(`${where} is not a token`)
  return token
}

const WARN_DAYS = 7

/** Warns on stderr if a token expires within a week. @param how a sentence on what to do */
export async function warnOfExpiry(expires_at: string, how: string): Promise<void> {
  const days = (Date.parse(expires_at) - Date.now()) / 86_400_000
  if (!(days > 0 && days < WARN_DAYS)) return
  const { line, remark } = await import('./output.ts')
  const left = days < 1 ? 'in less than a day' : `in ${Math.floor(days)} ${days < 2 ? 'day' : 'days'}`
  remark(line`Your token expires ${left}. ${how}`)
}

/**
 * The context of a run. The server is --server, else FOCUS_SERVER, else that of the last login. A token or key from the environment does
 * not belong to the last login, so with one of them the default server is used instead of the last one.
 * @throws {Failure} usage, config_corrupt, config_not_private
 */
export async function openFocus({ server: flag, json = false }: GlobalOptions): Promise<Focus> {
  const fromEnv = env('FOCUS_SERVER')
  const secret = env('FOCUS_TOKEN') ?? env('FOCUS_TOKEN_FILE') ?? env('FOCUS_APP_KEY')
  const server = flag
    ? readServer(flag, '--server')
    : fromEnv
      ? readServer(fromEnv, 'FOCUS_SERVER')
      : secret
        ? DEFAULT_SERVER
        : readServer((await readLastServer()) ?? DEFAULT_SERVER, 'The last server')
  const hint = (...words: string[]) => run(...words, ...(flag ? ['--server', server] : []))
  let warned = false

  async function token(): Promise<Credentials> {
    const given = await tokenOfEnvironment()
    if (given) return given
    const login = await readLogin(server)
    if (!login) {
      throw new Failure('not_signed_in', `You are not signed in to ${server}`, {
        exitCode: EXIT.notSignedIn,
        hint: `Sign in: ${hint('login')}`,
      })
    }
    if (Date.parse(login.expires_at) <= Date.now()) {
      throw new Failure('token_expired', `Your login to ${server} has expired`, {
        exitCode: EXIT.notSignedIn,
        hint: `Sign in again: ${hint('login')}`,
      })
    }
    const { expires_at, name = null } = login
    // With --json, output on stderr means an error.
    if (!json && !warned) await warnOfExpiry(expires_at, `Renew it: ${hint('login')}`)
    warned = true
    return { token: login.token, source: 'login', file: loginFile(server), expires_at, name }
  }

  async function ask<T>(request: Ask<T>, as: { appKey?: boolean; alone?: boolean } = {}): Promise<T> {
    const appKey = as.appKey ? env('FOCUS_APP_KEY') : undefined
    const signedIn = appKey && as.alone ? undefined : await token()
    const secrets = { ...(signedIn && { token: signedIn.token }), ...(appKey && { appKey }) }
    const { openApi, take } = await import('./api.ts')
    try {
      return await take(server, request(openApi(server, secrets)))
    } catch (error) {
      throw error instanceof Failure ? advise(error, signedIn?.source ?? 'login', hint) : error
    }
  }

  return { server, json, hint, token, ask }
}

/** The failure with a hint on what to do about it, if there is one. */
export function advise(failure: Failure, source: Source, hint: (...words: string[]) => string): Failure {
  const { code, exitCode, details, message } = failure
  const withHint = (text: string) => new Failure(code, message, { exitCode, details, hint: text })
  if (exitCode === EXIT.notSignedIn) {
    if (source === 'login') return withHint(`Sign in again: ${hint('login')}`)
    return withHint(
      `The token is the one in ${source}. For a new one, unset it, run ${hint('login')}, then ${hint('print-token')}.`,
    )
  }
  if (code === 'insufficient_scope' && typeof details.scope === 'string') {
    return withHint(`Log in with this scope: ${hint('login', '--scope', details.scope)}`)
  }
  if (code === 'insufficient_credits') {
    const { required, available, buy_url = details.topup_url } = details
    const buy = typeof buy_url === 'string' ? `Buy more: ${buy_url}, or ${hint('buy')}` : ''
    if (typeof required !== 'number' || typeof available !== 'number') return buy ? withHint(buy) : failure
    const missing = required - available
    return withHint(`${missing} more ${missing === 1 ? 'credit is' : 'credits are'} needed. ${buy}`.trim())
  }
  if (code === 'settle_key_required') return withHint("Set FOCUS_APP_KEY to the app's settle key.")
  return failure
}
