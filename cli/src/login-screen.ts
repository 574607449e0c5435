import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Started } from './device-login.ts'
import { colours, type Line, line, lines, remark } from './output.ts'

/** The screen of a login that waits for approval, on stderr. */

const { stderr } = process

/** Shows the code, the page to enter it on, and a QR code of the link if the terminal is large enough. */
export async function showCode(started: Started): Promise<void> {
  const { bold, cyan } = colours(stderr)
  // Spaces make the code easier to read. The page accepts them.
  const code = ` ${Array.from(`${line`${started.user_code}`}`).join(' ')} `
  const edge = '─'.repeat(code.length + 4)
  const nothing = line``
  const box = [
    line`Open this page on any device:`,
    cyan(line`${started.page}`),
    nothing,
    line`and enter this code:`,
    line`┌${edge}┐`,
    line`│  ${bold(line`${code}`)}  │`,
    line`└${edge}┘`,
  ]
  const qr = await qrCode(started.link, box)
  if (!qr.length) return remark(lines([nothing, ...box, nothing]))
  const above = Math.floor((qr.length - box.length) / 2)
  remark(lines([nothing, ...qr.map((row, i) => line`  ${row}   ${box[i - above] ?? ''}`), nothing]))
}

/** The QR code as rows of half blocks; empty without a terminal, without Unicode, or if the terminal is too small. */
async function qrCode(link: string, beside: Line[]): Promise<Line[]> {
  if (!stderr.isTTY || process.env.TERM === 'dumb' || process.env.TERM === 'linux') return []
  const [{ renderUnicodeCompact }, { default: isUnicodeSupported }, { default: width }] = await Promise.all([
    import('uqr'),
    import('is-unicode-supported'),
    import('string-width'),
  ])
  const locale = process.env.LC_ALL || process.env.LC_CTYPE || process.env.LANG || ''
  if (!isUnicodeSupported() || (process.platform === 'linux' && !/utf-?8/i.test(locale))) return []
  const rows = renderUnicodeCompact(link, { border: 2 }).split('\n')
  const columns = 5 + width(rows[0] ?? '') + Math.max(...beside.map((text) => width(`${text}`)))
  // 5 more rows: empty lines, the opened link, and the time left.
  if (columns > (stderr.columns || 80) || rows.length + 5 > (stderr.rows || 24)) return []
  // Light modules on a dark ground, whatever the colours of the terminal are, because scanners need the contrast.
  const { inverse } = colours(stderr)
  return rows.map((row) => inverse(line`${row}`))
}

/** How long to wait for the exit code of the program that opens the browser, in ms. */
const OPENING_MS = 1_500

/** Opens a page in a browser if this machine has one, and prints whether that worked. */
export async function openBrowser(link: string): Promise<void> {
  if (!hasBrowser()) return
  const opened = await openLink(link)
    .then((child) => outcome(child))
    .catch(() => false)
  if (opened === undefined) remark(line`Opening ${link}`)
  else if (opened) remark(line`Opened ${link}`)
  else remark(line`No browser could be opened. Open the page yourself.`)
}

async function openLink(link: string): Promise<ChildProcess> {
  // The package `open` starts PowerShell on Windows. This starts no shell, so nothing in the address can be read as a command.
  if (process.platform === 'win32') return spawn('rundll32', ['url.dll,FileProtocolHandler', link], { stdio: 'ignore' })
  const { default: open } = await import('open')
  return open(link)
}

/** Whether the program succeeded; undefined: it is still running, as a newly started browser is. */
async function outcome(child: ChildProcess): Promise<boolean | undefined> {
  const ended = new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false))
    child.once('exit', (code) => resolve(code === 0))
  })
  const waited = sleep(OPENING_MS, undefined, { ref: true })
  return child.exitCode === null ? Promise.race([ended, waited]) : child.exitCode === 0
}

function hasBrowser(): boolean {
  const { env, platform } = process
  if (!stderr.isTTY || env.CI) return false
  if (platform === 'darwin' || platform === 'win32') return !env.SSH_CONNECTION
  return Boolean(env.BROWSER || env.DISPLAY || env.WAYLAND_DISPLAY || env.WSL_DISTRO_NAME)
}

export interface Waiting {
  /** Shows why polls fail; undefined: they work again */
  trouble(what: string | undefined): void
  stop(): void
}

/** Shows a spinner with the time left, or one line without a terminal. Ctrl-C restores the terminal and exits with 130. */
export async function showWaiting(expiresIn: number): Promise<Waiting> {
  const end = Date.now() + expiresIn * 1000
  let trouble: string | undefined
  if (!stderr.isTTY) {
    remark(line`Waiting for approval…`)
    return {
      trouble(what) {
        if (what && what !== trouble) remark(line`${what}; trying again`)
        trouble = what
      },
      stop() {},
    }
  }

  const { default: ora } = await import('ora')
  const { any, yellow } = colours(stderr)
  const spinner = ora({
    text: text(),
    color: any ? 'cyan' : false,
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
    remark(line`Login cancelled.`)
    process.exit(130)
  }
  process.on('SIGINT', interrupted)

  function text(): string {
    const left = Math.max(0, Math.round((end - Date.now()) / 1000))
    const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`
    const waiting = `Waiting for approval… ${clock} left`
    return trouble ? `${waiting} ${yellow(line`(${trouble})`)}` : waiting
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
