// Signs in with Clerk: shows Clerk's form where no one is signed in, then opens a session of ours for Clerk's session.

const form = document.querySelector('#clerk')
const { host, publishableKey, address, onward, state } = form.dataset
const progress = document.querySelector('#progress')
const trouble = document.querySelector('#trouble')

const TIMEOUT_MS = 15_000

function show(message) {
  progress.hidden = true
  document.querySelector('#trouble-text').textContent = message
  trouble.hidden = false
}

function run(path, attributes = {}) {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script')
    script.src = `https://${host}${path}`
    script.crossOrigin = 'anonymous'
    for (const [name, value] of Object.entries(attributes)) script.setAttribute(name, value)
    script.onload = resolve
    script.onerror = () => reject(new Error(`${script.src} did not load`))
    document.head.append(script)
  })
}

/** Opens our session for Clerk's. The server then redirects to where the sign-in leads. */
async function openSession(clerk) {
  progress.textContent = 'Signing you in…'
  const token = await clerk.session.getToken({ skipCache: true })
  const name = clerk.user?.primaryEmailAddress?.emailAddress ?? clerk.user?.username ?? clerk.user?.fullName
  const response = await fetch('/api/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token, ...(name && { name: [...name].slice(0, 120).join('') }) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  if (response.ok) return location.replace(onward)
  const { message = '' } = await response.json().catch(() => ({}))
  throw new Refused(`You are signed in at Clerk, but not here. ${message}`)
}

class Refused extends Error {}

async function signIn() {
  await run('/npm/@clerk/ui@1/dist/ui.browser.js')
  await run('/npm/@clerk/clerk-js@6/dist/clerk.browser.js', { 'data-clerk-publishable-key': publishableKey })
  const clerk = window.Clerk
  await clerk.load({
    ui: { ClerkUI: window.__internal_ClerkUICtor },
    // Clerk reads redirect parameters from this page's address. Only the server redirects elsewhere.
    allowedRedirectOrigins: [location.origin],
  })
  if (clerk.isSignedIn && state === 'signed-out') {
    try {
      await clerk.signOut(() => {})
    } catch {
      throw new Refused('You are signed out here, but Clerk did not answer, so this browser is still signed in there.')
    }
  }
  if (clerk.isSignedIn && state === 'returned') {
    // An automatic retry would loop.
    throw new Refused(
      'You are signed in at Clerk, but this site could not keep you signed in. Allow cookies for this site, or wait a moment.',
    )
  }
  if (clerk.isSignedIn) return openSession(clerk)

  clerk.mountSignIn(form, {
    routing: 'hash',
    withSignUp: true,
    oauthFlow: 'redirect',
    // Clerk returns to this page after a sign-in.
    forceRedirectUrl: address,
    signUpForceRedirectUrl: address,
    appearance: {
      variables: {
        colorPrimary: 'var(--brand)',
        colorPrimaryForeground: 'var(--on-brand)',
        colorBackground: 'var(--paper)',
        colorForeground: 'var(--ink)',
        colorMutedForeground: 'var(--muted)',
        colorInput: 'var(--paper)',
        colorInputForeground: 'var(--ink)',
        colorNeutral: 'var(--ink)',
        colorDanger: 'var(--fault)',
        fontFamily: 'inherit',
      },
      elements: { rootBox: { width: '100%' }, cardBox: { width: '100%', maxWidth: '100%' } },
    },
  })
  await new Promise((resolve) => {
    const observer = new MutationObserver(settle)
    function settle() {
      if (!form.querySelector('input, button')) return
      observer.disconnect()
      resolve()
    }
    observer.observe(form, { childList: true, subtree: true })
    settle()
  })
}

const timeout = setTimeout(
  () => show('Clerk, the sign-in provider, does not answer. Check your connection and content blockers.'),
  TIMEOUT_MS,
)
progress.hidden = false
try {
  await signIn()
  trouble.hidden = true
  // The message stays while the browser loads the next page.
  progress.hidden = form.childElementCount > 0
} catch (error) {
  console.error(error)
  show(
    error instanceof Refused
      ? error.message
      : 'The sign-in form did not load. Check your connection and content blockers.',
  )
} finally {
  clearTimeout(timeout)
}
