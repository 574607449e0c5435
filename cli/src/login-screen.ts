import type { Started } from './device-login.ts'
import { colours, plain, remark } from './output.ts'

/** The screen of a login that waits for approval. All of it is on stderr. */

const { stderr } = process

/** Shows the code, the page to enter it on, and a QR code of the link where the terminal has room. */
export async function showCode(started: Started): Promise<void> {
  const { bold, cyan } = colours(stderr)
  // Spaces make the code easier to read. The page accepts them.
  const code = ` ${Array.from(plain(started.user_code)).join(' ')} `
  const edge = '─'.repeat(code.length + 4)
  const lines = [
    'Open this page on any device:',
    cyan(started.page),
    '',
    'and enter this code:',
    `┌${edge}┐`,
    `│  ${bold(code)}  │`,
    `└${edge}┘`,
  ]
  const qr = await qrCode(started.link, lines)
  if (!qr.length) return remark(['', ...lines, ''].join('\n'))
  const beside = [...Array<string>(Math.floor((qr.length - lines.length) / 2)).fill(''), ...lines]
  remark(['', ...qr.map((row, i) => `  ${row}   ${beside[i] ?? ''}`.trimEnd()), ''].join('\n'))
}

/** The QR code as rows of half blocks; empty without a terminal, without Unicode, or where it is too small. */
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
  // 5 more rows: empty lines, the opened link, and the time left.
  if (columns > (stderr.columns || 80) || rows.length + 5 > (stderr.rows || 24)) return []
  // Scanners need light modules on a dark ground, so the colours of the terminal are overridden.
  const { bgBlack, whiteBright } = colours(stderr)
  return rows.map((row) => bgBlack(whiteBright(row)))
}

/** Opens the page in a browser, where this machine has one, and says so. */
export async function openBrowser(link: string): Promise<void> {
  if (!hasBrowser()) return
  const { default: open } = await import('open')
  try {
    const child = await open(link)
    child.on('error', () => {})
    remark(`Opened ${link}`)
  } catch {
    // The address is on the screen already.
  }
}

function hasBrowser(): boolean {
  const { env, platform } = process
  if (!stderr.isTTY || env.CI) return false
  if (platform === 'darwin' || platform === 'win32') return !env.SSH_CONNECTION
  return Boolean(env.BROWSER || env.DISPLAY || env.WAYLAND_DISPLAY || env.WSL_DISTRO_NAME)
}

export interface Waiting {
  /** Shows why polls fail at the moment; undefined: they work again */
  trouble(what: string | undefined): void
  stop(): void
}

/** Shows a spinner with the time left, or one line without a terminal. Ctrl-C restores the terminal and exits with 130. */
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
    // ora would put stdin into raw mode, which disables Ctrl-C and Ctrl-Z.
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
