import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { CODE, machine, serve } from './support/cli.ts'
import { logIn } from './support/device.ts'
import { openGate } from './support/gate.ts'

const HIDE = '\u001b[?25l'
const SHOW = '\u001b[?25h'

t.jobs = 2

const { app, person, url } = await serve(t)

t.test('in a terminal a login shows a QR code, opens the browser, and counts the time down', async (t) => {
  const [ada, gate, computer] = [await person(), await openGate(t, url), await machine(t)]
  // What a desktop calls its browser by.
  const browser = join(computer.home, 'browser')
  await writeFile(browser, '#!/bin/sh\necho "$1" > "$HOME/opened"\n')
  await chmod(browser, 0o755)
  const terminal = computer.terminal(['login', '--server', gate.url], { BROWSER: browser })
  await terminal.shows(/Waiting for approval… 14:5\d left/)
  const screen = terminal.seen()
  const [, spaced = ''] = CODE.exec(screen) ?? []
  const user_code = spaced.replaceAll(' ', '')
  t.match(screen, /( *[█▀▄ ]{33}.*\n){17}/, 'the QR code')
  t.match(screen, `${url}/device`)
  t.match(screen, `Opened ${url}/device?user_code=${user_code}`)
  t.ok(screen.split('\n').length <= 24, 'all of it fits into the usual 24 lines')
  t.equal((await ada.postFromOurPage('/api/device/complete', { user_code })).statusCode, 200)
  t.equal(await terminal.ended, 0)
  t.match(terminal.seen(), `Signed in to ${gate.url} as ${ada.email}`)
  t.notMatch(terminal.seen(), /Waiting/, 'the spinner is gone')
  t.ok(terminal.raw().lastIndexOf(SHOW) > terminal.raw().lastIndexOf(HIDE), 'the cursor is back')
  t.equal(await readFile(join(computer.home, 'opened'), 'utf8'), `${url}/device?user_code=${user_code}\n`)
})

t.test('Ctrl-C while waiting leaves the terminal clean', async (t) => {
  const terminal = (await machine(t, { FOCUS_SERVER: url })).terminal(['login', '--no-browser'])
  await terminal.shows(/Waiting for approval/)
  t.notMatch(terminal.seen(), /Opened/)
  terminal.type('\u0003')
  t.equal(await terminal.ended, 130)
  t.match(terminal.seen(), /Login cancelled\.$/)
  t.notMatch(terminal.seen(), /Waiting/)
  t.ok(terminal.raw().lastIndexOf(SHOW) > terminal.raw().lastIndexOf(HIDE), 'the cursor is back')
})

t.test('colours are for terminals, and not with NO_COLOR', async (t) => {
  const ada = await person()
  const computer = await machine(t, { FOCUS_SERVER: url, FOCUS_TOKEN: await logIn(app, ada) })
  const colour = /\p{Cc}\[[\d;]*m/u
  const coloured = computer.terminal(['whoami'])
  const colourless = computer.terminal(['whoami'], { NO_COLOR: '1' })
  t.equal(await coloured.ended, 0)
  t.match(coloured.raw(), colour)
  t.equal(await colourless.ended, 0)
  t.notMatch(colourless.raw(), colour)
  t.equal(colourless.seen(), coloured.seen())
  const refused = computer.terminal(['whoami'], { FOCUS_TOKEN: 'x', NO_COLOR: '1' })
  t.equal(await refused.ended, 4)
  t.notMatch(refused.raw(), colour)
})

t.test('a table is no wider than the terminal', async (t) => {
  const ada = await person()
  await ada.get('/api/wallet?app=video')
  await ada.post('/api/jobs', {
    app: 'video',
    action: '日本語 and a very long name of an action'.repeat(3),
    cost_estimate: 1,
  })
  const computer = await machine(t, { FOCUS_SERVER: url, FOCUS_TOKEN: await logIn(app, ada) })
  const terminal = computer.terminal(['jobs', 'list'])
  t.equal(await terminal.ended, 0)
  const lines = terminal.seen().split('\n')
  t.equal(lines.length, 2, terminal.seen())
  t.match(lines[1], /日本.*… +started +1 +\d{4}-\d\d-\d\d$/)
})
