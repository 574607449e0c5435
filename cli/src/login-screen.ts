import type { Started } from './device-login.ts'
import { colours, plain, remark } from './output.ts'

/** What a person sees while they are asked to approve a login. All of it is on stderr. */

const { stderr } = process

/** The code, where to type it, and as a QR code where the terminal has room for one. */
export async function showCode(started: Started): Promise<void> {
  const { bold, cyan } = colours(stderr)
  // Apart, its letters are larger; the page reads it with spaces too.
  const code = ` ${Array.from(plain(started.user_code)).join(' ')} `
  const edge = '─'.repeat(code.length + 4)
  const lines = [
    'Open this page, on any device:',
    cyan(started.page),
    '',
    'and type this code:',
    `┌${edge}┐`,
    `│  ${bold(code)}  │`,
    `└${edge}┘`,
  ]
  const qr = await qrCode(started.link, lines)
  if (!qr.length) return remark(['', ...lines, ''].join('\n'))
  const beside = [...Array<string>(Math.floor((qr.length - lines.length) / 2)).fill(''), ...lines]
  remark(['', ...qr.map((row, i) => `  ${row}   ${beside[i] ?? ''}`.trimEnd()), ''].join('\n'))
}

/** Rows of half blocks; none where the terminal is no terminal, too small, or knows no such characters. */
async function qrCode(link: string, beside: string[]): Promise<string[]> {
  if (!stderr.isTTY || process.env.TERM === 'dumb' || process.env.TERM === 'linux') return []
  const [{ renderUnicodeCompact }, { default: isUnicodeSupported }, { default: width }] = await Promise.all([
    import('uqr'),
    import('is-unicode-supported'),
    import('string-width'),
  ])
  const locale = process.env.LC_ALL || process.env.LC_CTYPE || process.env.LANG || ''
  if (!isUnicodeSupported() || (process.platform === 'linux' && !/utf-?8/i.test(locale))) return []
  const rows = renderUnicodeCompact(link, { border: 2 }).split('\n')
  const columns = 5 + width(rows[0] ?? '') + Math.max(...beside.map((line) => width(line)))
  // Empty lines around it, the browser that was opened, the time that is left.
  if (columns > (stderr.columns || 80) || rows.length + 5 > (stderr.rows || 24)) return []
  // White on black whatever the terminal's colours are: scanners want the light parts light.
  const { bgBlack, whiteBright } = colours(stderr)
  return rows.map((row) => bgBlack(whiteBright(row)))
}

/** Opens the page in a browser where there is one at hand; says so. */
export async function openBrowser(link: string): Promise<void> {
  if (!hasBrowser()) return
  const { default: open } = await import('open')
  try {
    const child = await open(link)
    child.on('error', () => {})
    remark(`Opened ${link}`)
  } catch {
    // The page is on the screen already.
  }
}

function hasBrowser(): boolean {
  const { env, platform } = process
  if (!stderr.isTTY || env.CI) return false
  if (platform === 'darwin' || platform === 'win32') return !env.SSH_CONNECTION
  return Boolean(env.BROWSER || env.DISPLAY || env.WAYLAND_DISPLAY || env.WSL_DISTRO_NAME)
}

export interface Waiting {
  /** What keeps the login from going on; undefined: nothing */
  trouble(what: string | undefined): void
  stop(): void
}

/** A spinner with the time that is left; one line where there is no terminal. Ctrl-C ends the program cleanly. */
export async function showWaiting(expiresIn: number): Promise<Waiting> {
  const end = Date.now() + expiresIn * 1000
  let trouble: string | undefined
  if (!stderr.isTTY) {
    remark('Waiting for approval…')
    return {
      trouble(what) {
        if (what && what !== trouble) remark(`${plain(what)}; trying again`)
        trouble = what
      },
      stop() {},
    }
  }

  const { default: ora } = await import('ora')
  const { yellow } = colours(stderr)
  const spinner = ora({
    text: text(),
    color: yellow('') ? 'cyan' : false,
    isEnabled: process.env.TERM !== 'dumb',
    // It would take Ctrl-C from the terminal, and Ctrl-Z with it.
    discardStdin: false,
  })
  spinner.start()
  const clock = setInterval(() => {
    spinner.text = text()
  }, 1000)
  const interrupted = () => {
    stop()
    remark('Login cancelled.')
    process.exit(130)
  }
  process.on('SIGINT', interrupted)

  function text(): string {
    const left = Math.max(0, Math.round((end - Date.now()) / 1000))
    const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`
    const waiting = `Waiting for approval… ${clock} left`
    return trouble ? `${waiting} ${yellow(`(${plain(trouble)})`)}` : waiting
  }

  function stop(): void {
    clearInterval(clock)
    spinner.stop()
    process.off('SIGINT', interrupted)
  }

  return {
    trouble(what) {
      trouble = what
      spinner.text = text()
    },
    stop,
  }
}
