import type { Test } from 'tap'
import { plain } from './hostile.ts'
import { OURS, opened } from './pages.ts'
import { type App, personWith } from './start.ts'

type Fields = Record<string, string | string[]>

/** The service with an administrator at the console, and ada, who is none. */
export async function atConsole(t: Test, env: Record<string, string> = {}) {
  const service = await opened(t, env)
  const { app } = service
  const admin = await service.admin()
  let cookie = admin.cookie

  /** What a browser shows: the page, after redirects, with the notice cookie. */
  const open = async (url: string) => {
    const reply = await app.inject({ url, headers: { cookie, accept: 'text/html', 'sec-fetch-site': 'same-origin' } })
    return reply
  }

  const send = (url: string, fields: Fields, headers: Record<string, string> = { origin: OURS }, at: App = app) =>
    at.inject({
      method: 'POST',
      url,
      payload: new URLSearchParams(
        Object.entries(fields).flatMap(([name, value]) => [value].flat().map((one) => [name, one])),
      ).toString(),
      headers: { cookie, accept: 'text/html', 'content-type': 'application/x-www-form-urlencoded', ...headers },
    })

  /** Sends a form as a browser does: where the answer leads to a page that asks or refuses, that page. */
  const post = async (...sent: Parameters<typeof send>) => {
    const reply = await send(...sent)
    const to = String(reply.headers.location ?? '')
    return reply.statusCode === 303 && to.startsWith('/console/change?') ? open(to) : reply
  }

  /** Follows a redirect as a browser does, and says what the next page tells. */
  const follow = async (reply: Awaited<ReturnType<typeof post>>) => {
    const set = reply.cookies.filter(({ name }) => name.startsWith('focus_notice'))
    cookie = [admin.cookie, ...set.map(({ name, value }) => `${name}=${value}`)].join('; ')
    const page = await open(String(reply.headers.location))
    cookie = admin.cookie
    return page
  }

  return {
    ...service,
    admin,
    personWith: (amount: number) => personWith(app, amount),
    open,
    send,
    post,
    follow,
    /** The page that asks, and a function that presses its button: it answers the page after that. */
    async ask(url: string, fields: Fields = {}) {
      const asked = await post(url, fields)
      if (asked.statusCode !== 200) throw new Error(`${url}: ${asked.statusCode} ${messageOf(asked.body)}`)
      const draft = /<input type="hidden" name="draft" value="([^"]+)">/.exec(asked.body)?.[1] ?? ''
      const press = (more: Fields = {}) => post('/console/change', { draft, ...more })
      const effects = [...asked.body.matchAll(/<li>([^<]*)<\/li>/g)].map(([, text = '']) => plain(text).trim())
      return {
        effects: effects.filter((text) => !text.startsWith('<a')).join(' '),
        asksReason: asked.body.includes('name="reason"'),
        /** The address of the page that asks, which Back leads to. */
        at: `/console/change?draft=${draft}`,
        press,
        async done(more: Fields = {}) {
          const reply = await press(more)
          if (reply.statusCode !== 303) throw new Error(`${url}: ${reply.statusCode} ${messageOf(reply.body)}`)
          const { body } = await follow(reply)
          return plain(/<p class="done" role="status">([^<]*)<\/p>/.exec(body)?.[1] ?? '').trim()
        },
      }
    },
    /** The lines that the console has written to the audit log, newest first. */
    async lines(count: number) {
      const { actions } = (await admin.get(`/api/admin/audit?limit=${count}`)).json()
      return (actions as { action: string; via: string; reason: string | null }[]).map(
        ({ action, via, reason }) => [action, via, reason] as const,
      )
    },
  }
}

const messageOf = (body: string) => plain(/role="alert">([^<]*)</.exec(body)?.[1] ?? body.slice(0, 300)).trim()
