import type { Api } from './api.ts'
import { EXIT, Failure, run, usage } from './failure.ts'
import { DEFAULT_SERVER, readServer } from './server.ts'
import { isToken, readLastServer, readLogin } from './store.ts'

/** One run of the command: which server it talks to, as whom, and how it answers. */

export interface GlobalOptions {
  server?: string
  json?: boolean
}

export interface Focus {
  /** The origin of the Focus API */
  server: string
  json: boolean
  /** The words of a hint, with `--server` where the same words alone would go elsewhere */
  hint(words: string): string
  /** What is signed in with. @throws {Failure} not_signed_in and token_expired (exit code 4), and as readLogin */
  token(): Promise<{ token: string; source: 'login' | 'FOCUS_TOKEN'; expires_at: string | null }>
  /**
   * Asks the server as whoever is signed in.
   * @param as `appKey`: with the settle key in FOCUS_APP_KEY, where there is one; `alone`: then without anybody's token
   * @throws {Failure} as token(), and whatever the server refuses
   */
  ask<T>(request: Ask<T>, as?: { appKey?: boolean; alone?: boolean }): Promise<T>
}

type Ask<T> = (api: Api) => Promise<{ data?: T; error?: unknown; response: Response }>

const env = (name: string): string | undefined => process.env[name]?.trim() || undefined

/**
 * The server is that of --server, else of FOCUS_SERVER, else of the last login. A secret from the environment is no
 * part of the last login, so with one the third is left out.
 * @throws {Failure} usage, config_corrupt, config_not_private
 */
export async function openFocus({ server: flag, json = false }: GlobalOptions): Promise<Focus> {
  const fromEnv = env('FOCUS_SERVER')
  const secret = env('FOCUS_TOKEN') ?? env('FOCUS_APP_KEY')
  const server = flag
    ? readServer(flag, '--server')
    : fromEnv
      ? readServer(fromEnv, 'FOCUS_SERVER')
      : secret
        ? DEFAULT_SERVER
        : readServer((await readLastServer()) ?? DEFAULT_SERVER, 'The last server')
  const hint = (words: string) => run(flag ? `${words} --server ${server}` : words)

  async function token() {
    const given = env('FOCUS_TOKEN')
    if (given) {
      if (!isToken(given)) throw usage('FOCUS_TOKEN is not a token')
      return { token: given, source: 'FOCUS_TOKEN' as const, expires_at: null }
    }
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
    return { token: login.token, source: 'login' as const, expires_at: login.expires_at }
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

/** The failure with what to do about it. */
export function advise(failure: Failure, source: 'login' | 'FOCUS_TOKEN', hint: (words: string) => string): Failure {
  const { code, exitCode, details, message } = failure
  const say = (text: string) => new Failure(code, message, { exitCode, details, hint: text })
  if (exitCode === EXIT.notSignedIn) {
    if (source === 'login') return say(`Sign in again: ${hint('login')}`)
    return say(`That is the token in FOCUS_TOKEN. Make another: ${hint('login')} without it, then print-token.`)
  }
  if (code === 'insufficient_scope' && typeof details.scope === 'string') {
    return say(`Ask for it: ${hint(`login --scope ${details.scope}`)}`)
  }
  if (code === 'insufficient_credits') {
    const { required, available, topup_url } = details
    const missing = typeof required === 'number' && typeof available === 'number' ? required - available : 'Some'
    return say(`${missing} credits are missing.${typeof topup_url === 'string' ? ` Buy more: ${topup_url}` : ''}`)
  }
  if (code === 'settle_key_required') return say("Put the app's settle key into FOCUS_APP_KEY.")
  return failure
}
