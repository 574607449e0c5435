// Signs in with Clerk: its form where nobody is signed in there, and then a session of ours for the one at Clerk.

const form = document.querySelector('#clerk')
const { host, publishableKey, address, onward, state } = form.dataset
const progress = document.querySelector('#progress')
const trouble = document.querySelector('#trouble')

const PATIENCE_MS = 15_000

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

/** A session of ours for Clerk's; the server then goes on to where the person wanted to. */
async function openSession(clerk) {
  progress.textContent = 'Signing you in…'
  const token = await clerk.session.getToken({ skipCache: true })
  const name = clerk.user?.primaryEmailAddress?.emailAddress ?? clerk.user?.username ?? clerk.user?.fullName
  const response = await fetch('/api/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token, ...(name && { name: [...name].slice(0, 120).join('') }) }),
    signal: AbortSignal.timeout(PATIENCE_MS),
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
    // The address of this page may ask Clerk to send people elsewhere; only we do.
    allowedRedirectOrigins: [location.origin],
  })
  if (clerk.isSignedIn && state === 'signed-out') {
    try {
      await clerk.signOut(() => {})
    } catch {
      throw new Refused('You are signed out here, but Clerk could not be told: this browser is still signed in there.')
    }
  }
  if (clerk.isSignedIn && state === 'returned') {
    // Trying again by itself would go round for ever.
    throw new Refused(
      'You are signed in at Clerk, but this site could not keep you signed in. Allow it to set cookies, or wait a moment.',
    )
  }
  if (clerk.isSignedIn) return openSession(clerk)

  clerk.mountSignIn(form, {
    routing: 'hash',
    withSignUp: true,
    oauthFlow: 'redirect',
    // Back to this page, now signed in at Clerk.
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

const silence = setTimeout(
  () => show('Clerk, which signs people in here, does not answer. Check the connection and content blockers.'),
  PATIENCE_MS,
)
progress.hidden = false
try {
  await signIn()
  trouble.hidden = true
  // While the browser is on its way elsewhere, the message stays.
  progress.hidden = form.childElementCount > 0
} catch (error) {
  console.error(error)
  show(
    error instanceof Refused
      ? error.message
      : 'The sign-in form did not load. Check the connection and content blockers.',
  )
} finally {
  clearTimeout(silence)
}
