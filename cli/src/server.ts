import { usage } from './failure.ts'

export const DEFAULT_SERVER = 'https://account.thefocus.ai'

/**
 * The origin of a Focus API, such as `https://account.example.com`.
 * @param given the text to parse
 * @param where the option or variable it came from, for the message
 * @throws {Failure} usage, also for plain http to another machine, which would send the token unencrypted
 */
export function readServer(given: string, where: string): string {
  const text = given.trim()
  const expected = `${where} must be the address of a Focus API, such as ${DEFAULT_SERVER}`
  if (!URL.canParse(text)) throw usage(expected)
  const { protocol, origin, hostname, username, password, pathname, search, hash } = new URL(text)
  if (protocol !== 'https:' && protocol !== 'http:') throw usage(expected)
  if (username || password || pathname !== '/' || search || hash) {
    throw usage(`${expected}, without user, path or query`)
  }
  if (protocol === 'http:' && !isLoopback(hostname)) {
    throw usage(
      `${where} is not https, so a token sent to ${origin} would not be encrypted`,
      'Plain http works for this machine only, such as http://localhost:3000.',
    )
  }
  return origin
}

/** Whether a host name, as `URL` prints it, is this machine. */
export const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' ||
  hostname.endsWith('.localhost') ||
  hostname === '[::1]' ||
  /^127\.\d+\.\d+\.\d+$/.test(hostname)
