import { usage } from './failure.ts'

export const DEFAULT_SERVER = 'https://account.thefocus.ai'

/**
 * The origin of a Focus API, such as `https://account.example.com`.
 * @param given what somebody wrote
 * @param where they wrote it, for the message
 * @throws {Failure} usage, also for http to anywhere but this machine: the token would travel in clear
 */
export function readServer(given: string, where: string): string {
  const text = given.trim()
  const wanted = `${where} must be the address of a Focus API, such as ${DEFAULT_SERVER}`
  if (!URL.canParse(text)) throw usage(wanted)
  const { protocol, origin, hostname, username, password, pathname, search, hash } = new URL(text)
  if (protocol !== 'https:' && protocol !== 'http:') throw usage(wanted)
  if (username || password || pathname !== '/' || search || hash) {
    throw usage(`${wanted}: no user, path or query`)
  }
  if (protocol === 'http:' && !isLoopback(hostname)) {
    throw usage(
      `${where} is not https: a token sent to ${origin} could be read on its way`,
      'Plain http works for this machine only, such as http://localhost:3000.',
    )
  }
  return origin
}

/** Whether a host name, as `URL` writes it, is this machine. */
export const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' ||
  hostname.endsWith('.localhost') ||
  hostname === '[::1]' ||
  /^127\.\d+\.\d+\.\d+$/.test(hostname)
