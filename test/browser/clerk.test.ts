import t from 'tap'
import { look, openBrowser, openPage, serve, serveElsewhere } from '../support/browser.ts'
import { HOST, startClerkFrontend } from '../support/clerk-frontend.ts'
import { startClerk } from '../support/clerk-stand-in.ts'

/** A service that signs in with Clerk, Clerk itself, and an app that people come from. */
async function openClerk(t: Parameters<typeof openPage>[0]) {
  const app = await serveElsewhere(t)
  let clerk: Awaited<ReturnType<typeof startClerk>> | undefined
  let frontend: Awaited<ReturnType<typeof startClerkFrontend>> | undefined
  const service = await serve(t, async (url) => {
    clerk = await startClerk(t, url)
    frontend = await startClerkFrontend(t, clerk)
    return {
      ...clerk.env,
      CLERK_PUBLISHABLE_KEY: frontend.publishableKey,
      CLERK_ISSUER: clerk.issuer,
      CLERK_JWT_KEY: clerk.jwtKey,
      ALLOWED_ORIGINS: app.sameSite,
    }
  })
  if (!clerk || !frontend) throw new Error('unreachable')
  const browser = await openBrowser(t, { [HOST]: frontend.port })
  const options = { ignoreHTTPSErrors: true }
  return {
    ...service,
    clerk,
    frontend,
    target: app.sameSite,
    signin: `${service.url}/signin?redirect_to=${encodeURIComponent(`${app.sameSite}/place?x=1`)}`,
    open: (more = {}) => openPage(t, browser, { ...options, ...more }),
  }
}

t.test('whoever is signed in at Clerk is led straight back to the app, without a click', async (t) => {
  const { clerk, frontend, signin, target, open, app } = await openClerk(t)
  frontend.state.person = clerk.signIn()
  const { page, complaints } = await open()
  await page.goto(signin)
  await page.waitForURL(`${target}/**`)
  const address = new URL(page.url())
  t.match(address.href, /\/place\?x=1&token=ey/)
  const authorization = `Bearer ${address.searchParams.get('token')}`
  const wallet = (await app.inject({ url: '/api/wallet', headers: { authorization } })).json()
  t.equal(wallet.account.clerk_id, frontend.state.person?.sub)
  t.strictSame(complaints, [])
})

t.test("Clerk's form signs in, and the account page follows; signing out is for Clerk as well", async (t) => {
  const { frontend, url, open } = await openClerk(t)
  const { page, complaints } = await open()
  // Clerk's own parameter asks to go elsewhere.
  await page.goto(`${url}/signin?sign_in_force_redirect_url=${encodeURIComponent('https://evil.example/')}`)
  await page.getByLabel('Email address').waitFor()
  await page.getByText('Loading the sign-in form…').waitFor({ state: 'hidden' })
  await look(t, page, 'signin-clerk')
  await page.getByLabel('Email address').fill('ada@example.com')
  await page.getByRole('button', { name: 'Continue', exact: true }).click()
  await page.getByLabel('Password', { exact: true }).fill(frontend.password)
  await page.getByRole('button', { name: 'Continue', exact: true }).click()
  await page.waitForURL(`${url}/account`)
  await page.getByText('ada@example.com').waitFor()
  await look(t, page, 'account-clerk')

  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByText('You are signed out.').waitFor()
  await page.getByLabel('Email address').waitFor()
  t.equal(frontend.state.person, undefined, 'Clerk was told')
  t.equal(new URL(page.url()).pathname, '/signin', 'and nobody was signed in again')
  t.strictSame(complaints, [])
})

t.test('a sign-out that Clerk does not hear of is not passed over', async (t) => {
  const { clerk, frontend, url, open } = await openClerk(t)
  frontend.state.person = clerk.signIn()
  const { page } = await open()
  await page.goto(`${url}/signin`)
  await page.waitForURL(`${url}/account`)
  frontend.faults.broken = /DELETE/
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByText('this browser is still signed in there').waitFor()
  t.equal(new URL(page.url()).pathname, '/signin')
})

t.test('there is no redirect loop when our session cannot be kept', async (t) => {
  const { clerk, frontend, signin, open } = await openClerk(t)
  frontend.state.person = clerk.signIn()
  const { page } = await open()
  // A browser that takes no cookies from us.
  await page.route('**/api/session', async (route) => {
    const response = await route.fetch()
    const headers = { ...response.headers() }
    delete headers['set-cookie']
    // route.fetch stored the cookie. Delete it.
    await page.context().clearCookies({ name: /^focus_session_/ })
    await route.fulfill({ response, headers })
  })
  await page.goto(signin)
  await page.getByText('could not keep you signed in').waitFor()
  await look(t, page, 'signin-clerk-circle')
  t.equal(clerkRounds(frontend.calls), 2)
  await page.unroute('**/api/session')
  await page.getByRole('link', { name: 'Try again' }).click()
  await page.waitForURL(/\/place\?x=1&token=/)
})
const clerkRounds = (calls: string[]) => calls.filter((call) => call.endsWith('clerk.browser.js')).length

t.test('a session that Clerk has ended leads back to the form, without a redirect loop', async (t) => {
  const { clerk, frontend, signin, open } = await openClerk(t)
  const person = clerk.signIn()
  frontend.state.person = person
  const { page } = await open()
  await page.goto(signin)
  await page.waitForURL(/\/place\?x=1&token=/)
  clerk.sessions.set(person.sid, { userId: person.sub, status: 'ended' })
  await page.goto(signin)
  await page.getByText('could not keep you signed in').waitFor()
  frontend.state.person = undefined
  await page.getByRole('link', { name: 'Try again' }).click()
  await page.getByLabel('Email address').waitFor()
})

t.test('a session that we refuse is said on the page, with a way to try again', async (t) => {
  const { clerk, frontend, signin, open } = await openClerk(t)
  frontend.state.person = clerk.signIn()
  const { page } = await open()
  await page.route('**/api/session', (route) => route.fulfill({ status: 503, json: { message: 'Try again shortly.' } }))
  await page.goto(signin)
  await page.getByText('You are signed in at Clerk, but not here. Try again shortly.').waitFor()
  await page.unroute('**/api/session')
  await page.getByRole('link', { name: 'Try again' }).click()
  await page.waitForURL(/\/place\?x=1&token=/)
})

t.test("Clerk's script blocked, Clerk broken or silent: a message with a way to try again", async (t) => {
  const { frontend, signin, open } = await openClerk(t)
  const { page } = await open()
  for (const blocked of ['**/ui.browser.js', '**/clerk.browser.js']) {
    await page.route(blocked, (route) => route.abort())
    await page.goto(signin)
    await page.getByText('The sign-in form did not load.').waitFor()
    await page.unroute(blocked)
  }
  await look(t, page, 'signin-clerk-blocked')

  frontend.faults.silent = /\/v1\//
  await page.clock.install()
  for (const silent of [/clerk\.browser\.js/, /\/v1\/environment/]) {
    frontend.faults.silent = silent
    await page.goto(signin, { waitUntil: 'commit' })
    await page.getByText('Loading the sign-in form…').waitFor()
    // The clock also runs by itself, while the page loads on a busy machine.
    await page.clock.fastForward(7_000)
    t.equal(await page.getByRole('alert').count(), 0, 'not at once')
    await page.clock.fastForward(9_000)
    await page.getByText('Clerk, the sign-in provider, does not answer.').waitFor()
  }
  await look(t, page, 'signin-clerk-silent')
  frontend.faults.silent = /nothing/
  await page.getByRole('link', { name: 'Try again' }).click()
  await page.getByLabel('Email address').waitFor()
})

t.test('without JavaScript the page says that Clerk needs it', async (t) => {
  const { signin, open } = await openClerk(t)
  const { page } = await open({ javaScriptEnabled: false })
  await page.goto(signin)
  t.match(await page.getByRole('main').textContent(), 'needs JavaScript')
})
