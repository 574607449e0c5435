import type { Page } from 'playwright-core'
import t from 'tap'
import { look, openBrowser, openPage, serve, serveElsewhere, signInByForm } from '../support/browser.ts'
import { unique } from '../support/start.ts'

const NAME = 'focus on <b>ada</b>-laptop "\'&'

const browser = await openBrowser(t)
let attack = ''
const attacker = await serveElsewhere(t, () => attack)
// The worst case: the attacker's origin is allowed.
const { url, app, db } = await serve(t, { ALLOWED_ORIGINS: `${attacker.sameSite},${attacker.otherSite}` })

let devices = 0
/** A device asks; by default from this machine, like the browser, each from an address of its own: they are counted. */
async function startLogin(payload: object = { client_name: NAME }, remoteAddress = `127.0.0.${++devices}`) {
  const started = await app.inject({ method: 'POST', url: '/api/device/start', payload, remoteAddress })
  return started.json() as { device_code: string; user_code: string; verification_uri_complete: string }
}
async function poll({ device_code }: { device_code: string }) {
  const answer = await app.inject({ method: 'POST', url: '/api/device/poll', payload: { device_code } })
  return { ...answer.json(), status: answer.statusCode }
}
const statusOf = async ({ user_code }: { user_code: string }) =>
  (await db.selectFrom('device_codes').select('status').where('user_code', '=', user_code).executeTakeFirstOrThrow())
    .status

const email = () => `${unique('ada')}@example.com`
async function openSignedIn(t: Parameters<typeof openPage>[0], options = {}) {
  const opened = await openPage(t, browser, options)
  await signInByForm(opened.page, url, email())
  await opened.page.waitForURL(`${url}/account`)
  return opened
}
const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()

t.test('whoever follows the link signs in first, comes back to the same code and approves', async (t) => {
  const login = await startLogin()
  const { page, complaints } = await openPage(t, browser)
  await page.goto(login.verification_uri_complete)
  const person = email()
  await signInByForm(page, url, person)
  await page.getByRole('heading', { name: 'Allow this device?' }).waitFor()
  t.equal(page.url(), login.verification_uri_complete, 'no token was put into our own address')
  const said = (await page.getByRole('main').textContent()) ?? ''
  for (const word of [login.user_code, NAME, person, 'just now', '127.0.0.1, the same as yours'])
    t.ok(said.includes(word), word)
  t.equal(await page.locator('b').count(), 0, "the device's name is text")
  const [approve, deny] = await Promise.all(
    ['Approve', 'Deny'].map((name) => page.getByRole('button', { name, exact: true }).boundingBox()),
  )
  t.strictSame([approve?.width, approve?.height], [deny?.width, deny?.height], 'two buttons of one size')
  await look(t, page, 'device-decide')
  t.match(await poll(login), { status: 202 }, 'looking decides nothing')

  await press(page, 'Approve')
  await page.getByRole('heading', { name: 'Device approved' }).waitFor()
  t.match(await page.getByRole('status').textContent(), 'You can close this window')
  await look(t, page, 'device-approved')
  const { token } = await poll(login)
  t.match(token, /^focus_pat_/)
  const wallet = await app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` } })
  t.equal(wallet.statusCode, 200)

  await page.goto(`${url}/account`)
  await page.getByText(NAME).first().waitFor()
  t.strictSame(complaints, [])
})

t.test('a code can be typed, in any spelling, and denied; the device gets nothing', async (t) => {
  const login = await startLogin({})
  const { page } = await openSignedIn(t)
  await page.goto(`${url}/device`)
  await look(t, page, 'device-enter')
  await page.getByLabel('Code on the device').fill(` ${login.user_code.toLowerCase().replace('-', ' ')} `)
  await press(page, 'Continue')
  await page.getByText('Not given', { exact: true }).waitFor()
  await press(page, 'Deny')
  await page.getByRole('heading', { name: 'Device denied' }).waitFor()
  await look(t, page, 'device-denied')
  t.match(await poll(login), { status: 410, error: 'access_denied' })
  await page.goto(login.verification_uri_complete)
  await page.getByRole('heading', { name: 'Device denied' }).waitFor()
})

t.test('all of it works without JavaScript', async (t) => {
  const login = await startLogin()
  const { page } = await openPage(t, browser, { javaScriptEnabled: false })
  await page.goto(login.verification_uri_complete)
  await signInByForm(page, url, email())
  await press(page, 'Approve')
  await page.getByRole('heading', { name: 'Device approved' }).waitFor()
  t.match(await poll(login), { token: /^focus_pat_/ })
})

t.test('wrong, expired and used codes say so on the page', async (t) => {
  const { page } = await openSignedIn(t)
  await page.goto(`${url}/device`)
  await page.getByLabel('Code on the device').fill('BCDF-0000"><i>')
  await press(page, 'Continue')
  await page.getByRole('alert').waitFor()
  t.match(await page.getByRole('alert').textContent(), 'No device shows this code')
  t.equal(await page.getByLabel('Code on the device').inputValue(), 'BCDF-0000"><i>')
  await look(t, page, 'device-wrong')

  const login = await startLogin()
  await page.goto(login.verification_uri_complete)
  await db
    .updateTable('device_codes')
    .set({ expires_at: new Date(Date.now() - 1000) })
    .where('user_code', '=', login.user_code)
    .execute()
  await press(page, 'Approve')
  await page.getByRole('heading', { name: 'This code has expired' }).waitFor()
  await look(t, page, 'device-expired')
  t.match(await poll(login), { status: 410, error: 'expired_token' })

  const taken = await startLogin()
  const { page: other } = await openSignedIn(t)
  await other.goto(taken.verification_uri_complete)
  await page.goto(taken.verification_uri_complete)
  await press(other, 'Approve')
  await other.getByRole('heading', { name: 'Device approved' }).waitFor()
  await press(page, 'Approve')
  await page.getByRole('heading', { name: 'This code has already been used' }).waitFor()
  await look(t, page, 'device-used')
})

t.test('a login asked for elsewhere is warned of, and its code is typed from the device', async (t) => {
  const login = await startLogin({ client_name: 'focus on build-host', scope: 'account oauth admin' }, '203.0.113.7')
  const { page } = await openSignedIn(t)
  await page.goto(login.verification_uri_complete)
  t.match(await page.getByRole('alert').textContent(), '203.0.113.7, which is not your address (127.0.0.1)')
  t.notMatch(await page.getByRole('main').textContent(), login.user_code, 'a code to copy would be no proof')
  await look(t, page, 'device-far')
  await press(page, 'Approve')
  t.equal(await statusOf(login), 'pending', 'the browser asks for the code first')

  const another = await startLogin({ client_name: 'another one' }, '198.51.100.9')
  await page.getByLabel('Code on the device').fill(another.user_code)
  await press(page, 'Approve')
  await page.getByText('another one').waitFor()
  t.equal(await statusOf(another), 'pending', 'the code of a request that was not shown only shows it')

  await page.goto(login.verification_uri_complete)
  await page.getByLabel('Code on the device').fill(login.user_code)
  await press(page, 'Approve')
  await page.getByRole('heading', { name: 'Device approved' }).waitFor()

  const unwanted = await startLogin({}, '203.0.113.8')
  await page.goto(unwanted.verification_uri_complete)
  await press(page, 'Deny')
  await page.getByRole('heading', { name: 'Device denied' }).waitFor()
})

t.test("nobody's page but ours can approve, whatever it sends with the person's cookies", async (t) => {
  const { page, complaints } = await openSignedIn(t)
  const { user_code } = await startLogin()
  const fields = `<input name=shown value=${user_code}><input name=user_code value=${user_code}><input name=action value=approve>`
  const forms = {
    'a form to the page': `<form method=post action=${url}/device>${fields}</form>`,
    'a form that hides its origin': `<meta name=referrer content=no-referrer><form method=post action=${url}/device>${fields}</form>`,
    'a form to the API': `<form method=post action=${url}/api/device/complete>${fields}</form>`,
    'a form that looks like JSON': `<form method=post enctype=text/plain action=${url}/api/device/complete>
      <input name='{"user_code":"${user_code}","x":"' value='"}'></form>`,
  }
  for (const origin of [attacker.sameSite, attacker.otherSite]) {
    for (const [name, form] of Object.entries(forms)) {
      attack = `<title>Attack</title>${form}`
      await page.goto(origin)
      const answered = page.waitForResponse((response) => response.request().method() === 'POST')
      // Delayed, so that evaluate returns before the navigation.
      await page.evaluate('void setTimeout(() => document.forms[0].submit())')
      const response = await answered
      await response.finished()
      t.match(String(response.status()), /^4(01|03|15)$/, `${name} from ${origin}: ${response.status()}`)
      t.equal(await statusOf({ user_code }), 'pending')
    }

    attack = '<title>Attack</title>'
    await page.goto(origin)
    const json = JSON.stringify({ user_code })
    const form = `shown=${user_code}&user_code=${user_code}&action=approve`
    const urlencoded = { 'content-type': 'application/x-www-form-urlencoded' }
    for (const [path, init] of [
      ['/api/device/complete', { headers: { 'content-type': 'application/json' }, body: json }],
      ['/api/device/complete', { mode: 'no-cors', headers: { 'content-type': 'text/plain' }, body: json }],
      ['/device', { headers: urlencoded, body: form }],
      ['/device', { mode: 'no-cors', headers: urlencoded, body: form }],
    ] as const) {
      const options = JSON.stringify({ method: 'POST', credentials: 'include', ...init })
      const got = await page.evaluate(
        `fetch('${url}${path}', ${options}).then((answer) => answer.type === 'opaque' ? 'opaque' : answer.status, () => 'failed')`,
      )
      t.match(String(got), /^(401|403|415|opaque|failed)$/, `fetch to ${path} from ${origin}: ${got}`)
      t.equal(await statusOf({ user_code }), 'pending')
    }

    attack = `<title>Attack</title><iframe src="${url}/device?user_code=${user_code}"></iframe>`
    await page.goto(origin)
    const [, frame] = page.frames()
    t.equal(await frame?.getByRole('button').count(), 0, 'the page cannot be framed and clicked')
  }
  t.ok(
    complaints.some((text) => text.includes('frame-ancestors')),
    'because of its frame-ancestors',
  )
})

t.test('too many wrong codes are stopped, also on the page', async (t) => {
  const { page } = await openSignedIn(t)
  const login = await startLogin()
  const type = async (code: string) => {
    await page.goto(`${url}/device`)
    await page.getByLabel('Code on the device').fill(code)
    const answered = page.waitForResponse((response) => response.request().method() === 'POST')
    await press(page, 'Continue')
    return (await answered).status()
  }
  const answers: number[] = []
  for (let i = 0; i < 11; i++) answers.push(await type(`BCDF-${String(i).padStart(4, '0')}`))
  t.strictSame(answers, [...Array(10).fill(400), 429])
  t.match(await page.getByRole('alert').textContent(), /Too many wrong codes\. Try again in \d+ minutes/)
  await look(t, page, 'device-limited')
  t.equal(await type(login.user_code), 429, 'also for a right one')
})

t.test('a covering window and a double-click approve nothing, and images use up no guesses', async (t) => {
  for (const [by, origin] of Object.entries({ sibling: attacker.sameSite, stranger: attacker.otherSite })) {
    const { page } = await openSignedIn(t)
    for (const scope of ['account', 'account admin']) {
      const login = await startLogin({ client_name: 'yours truly', scope })
      const { user_code, verification_uri_complete: link } = login
      for (const target of [link, `${url}/signin?${new URLSearchParams({ redirect_to: link })}`]) {
        // The first click of a double-click opens our page where the pointer is; the second one falls on it.
        attack = `<title>Game</title><button onclick="window.open('${target}')">Double-click me</button>`
        await page.goto(origin)
        const opening = page.waitForEvent('popup')
        await page.getByRole('button').click()
        const popup = await opening
        await popup.getByRole('heading', { name: 'Allow this device?' }).waitFor()
        t.notMatch(await popup.getByRole('main').textContent(), user_code)
        const approve = await popup.getByRole('button', { name: 'Approve', exact: true }).boundingBox()
        const { x, y } = approve ?? { x: 0, y: 0 }
        await popup.mouse.click(x + 5, y + 5)
        await popup.keyboard.press('Enter')
        t.equal(await statusOf({ user_code }), 'pending', `${by}, ${scope}`)
        await look(t, popup, `device-led-${scope.replace(' ', '-')}`)
        await popup.close()
      }
    }

    const wrong = Array.from({ length: 12 }, (_, i) => `<img src="${url}/device?user_code=BCDF-${1000 + i}">`)
    attack = `<title>Cats</title>${wrong.join('')}`
    await page.goto(origin, { waitUntil: 'load' })
    const login = await startLogin()
    await page.goto(`${url}/device`)
    await page.getByLabel('Code on the device').fill(login.user_code)
    await press(page, 'Continue')
    await press(page, 'Approve')
    await page.getByRole('heading', { name: 'Device approved' }).waitFor()
  }
})

t.test('somebody else can sign in from the page and comes back to the code', async (t) => {
  const { page } = await openSignedIn(t)
  const login = await startLogin()
  await page.goto(login.verification_uri_complete)
  await press(page, 'Sign in as someone else')
  const other = email()
  await signInByForm(page, url, other)
  await page.getByText(other).waitFor()
  t.equal(page.url(), login.verification_uri_complete)
})
