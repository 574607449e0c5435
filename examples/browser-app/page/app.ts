import { createFocus, type HeldJob, InsufficientCredits, NotSignedIn } from '@thefocus/client'
import { byCookie, byOAuth } from './sign-in.ts'

/** Defined by the bundler, in serve.ts. */
declare const FOCUS_URL: string

const APP = 'film'
// An app needs only one of them: the cookie if it is on the same site as the service, otherwise OAuth.
const sameSite = location.hostname === new URL(FOCUS_URL).hostname
const signIn = sameSite ? byCookie(FOCUS_URL) : await byOAuth(FOCUS_URL, APP)
const focus = createFocus({ url: FOCUS_URL, ...signIn.credentials })

const element = <T extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as T
const buttons = document.querySelectorAll<HTMLButtonElement>('form button')

element('site').textContent = sameSite
  ? 'This page is on the same site as the service, so you are signed in by its cookie.'
  : 'This page is on another site, so you sign in by OAuth. The token is renewed automatically.'
element('sign-in').onclick = () => signIn.begin()
element('sign-out').onclick = async () => {
  await signIn.end(focus)
  await show()
}
element<HTMLFormElement>('order').onsubmit = (event) => {
  event.preventDefault()
  const { value } = event.submitter as HTMLButtonElement
  order(element<HTMLInputElement>('title').value, Number(value))
}

/** Renders a film for credits: they are held before it begins, and its cost is charged when it ends. */
async function order(title: string, estimate: number): Promise<void> {
  for (const button of buttons) button.disabled = true
  say('Rendering…')
  try {
    const wanted = { app: APP, action: 'render', estimate, metadata: { title } }
    const frames = await focus.withHold(wanted, (job) => render(title, job))
    say(`${title} is ready: ${frames} frames.`)
  } catch (error) {
    if (!(error instanceof InsufficientCredits))
      say(`${title} was not rendered, and costs nothing: ${(error as Error).message}`)
    else say(error.message, error.buyUrl)
  }
  for (const button of buttons) button.disabled = false
  await show()
}

async function render(title: string, job: HeldJob): Promise<number> {
  for (let step = 1; step <= 3; step++) {
    await new Promise((done) => setTimeout(done, 200))
    job.signal.throwIfAborted()
    job.cost(step)
  }
  return title.length * 24
}

/** Shows whether a person is signed in, their credits and their jobs. */
async function show(): Promise<void> {
  const wallet = await focus.getWallet({ app: APP }).catch((error) => {
    if (error instanceof NotSignedIn) return undefined
    say(`The service does not answer: ${error.message}`)
    throw error
  })
  element('sign-in').hidden = wallet !== undefined
  element('sign-out').hidden = element('signed-in').hidden = wallet === undefined
  element('credits').textContent = wallet ? `${wallet.account.credits} credits` : 'You are not signed in.'
  if (!wallet) return
  const { jobs } = await focus.listJobs({ app: APP, limit: 10 })
  element('history').replaceChildren(
    ...jobs.map(({ metadata, status, actual_cost }) => row(metadata?.title, status, actual_cost)),
  )
}

function row(...values: unknown[]): HTMLTableRowElement {
  const row = document.createElement('tr')
  for (const value of values) row.insertCell().textContent = String(value)
  row.cells[2]?.classList.add('number')
  return row
}

function say(text: string, buyUrl?: string): void {
  element('message').textContent = `${text} `
  if (!buyUrl) return
  const link = Object.assign(document.createElement('a'), { href: buyUrl, textContent: 'Buy credits' })
  element('message').append(link)
}

await show()
