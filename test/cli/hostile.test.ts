import t from 'tap'
import { run } from '../../cli/src/command-line.ts'
import * as admin from '../../cli/src/commands/admin.ts'
import * as grants from '../../cli/src/commands/grants.ts'
import * as jobs from '../../cli/src/commands/jobs.ts'
import * as operator from '../../cli/src/commands/operator.ts'
import * as selling from '../../cli/src/commands/selling.ts'
import * as session from '../../cli/src/commands/session.ts'
import * as tokens from '../../cli/src/commands/tokens.ts'
import { usage } from '../../cli/src/commands/usage.ts'
import * as wallet from '../../cli/src/commands/wallet.ts'
import * as webhooks from '../../cli/src/commands/webhooks.ts'
import { Failure } from '../../cli/src/failure.ts'
import { advise, type Focus } from '../../cli/src/focus.ts'
import { document } from '../support/document.ts'

/** Clears the screen, sets its title, turns the text around, and begins a line of its own. */
const HOSTILE = '\u001b]0;owned\u0007\u009b2J\u202etxt\r\nAll is well'

/** The example of an operation's answer in the document, with that in place of every string. */
function answerOf(method: string, path: string): unknown {
  const { responses = {} } = document.paths[path]?.[method.toLowerCase()] ?? {}
  const success = Object.entries(responses).find(([status]) => status.startsWith('2'))?.[1]
  return hostile(success?.content?.['application/json']?.example)
}

function hostile(value: unknown): unknown {
  if (typeof value === 'string') return HOSTILE
  if (Array.isArray(value)) return value.map(hostile)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, hostile(inner)]))
}

const api = new Proxy(
  {},
  { get: (_, method: string) => async (path: string) => ({ data: answerOf(method, path), response: new Response() }) },
)
const focusOf = (json: boolean): Focus => ({
  server: 'https://account.example.com',
  json,
  hint: run,
  token: async () => ({ token: 'focus_pat_x', source: 'FOCUS_TOKEN', file: null, expires_at: null, name: HOSTILE }),
  ask: async (request) => (await request(api as never)).data as never,
})

const ID = '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'
type Command = (focus: Focus, options: never, ...args: never[]) => Promise<void>
const COMMANDS: [name: string, command: Command, options?: object, ...args: unknown[]][] = [
  ['whoami', session.whoami],
  ['wallet', wallet.wallet, { app: 'video' }],
  ['entries', wallet.entries],
  ['usage', usage(false), { by: 'token' }],
  ['admin usage', usage(true)],
  ['grants list', grants.list],
  ['jobs list', jobs.list],
  ['jobs show', jobs.show, {}, ID],
  ['jobs create', jobs.create, { app: 'video', action: 'x', cost: 1 }],
  ['jobs complete', jobs.complete, { cost: 1 }, ID],
  ['jobs fail', jobs.fail, { refund: true }, ID],
  ['jobs heartbeat', jobs.heartbeat, {}, ID],
  ['tokens list', tokens.list],
  ['admin apps list', admin.listApps],
  ['admin apps set', admin.setApp, { starterCredits: 1 }, 'video'],
  ['admin grant', admin.credits('admin_grant'), { reference: 'x', reason: 'y' }, 'user_x', 1],
  ['admin overview', operator.overview],
  ['admin accounts', operator.accounts],
  ['admin account', operator.account, {}, ID],
  ['admin entries', operator.entries, {}, ID],
  ['admin tokens', operator.tokens, {}, ID],
  ['admin grants', operator.grants, {}, ID],
  ['admin purchases', selling.purchases],
  ['admin purchases of an account', selling.purchases, {}, ID],
  ['admin packs list', selling.listPacks],
  ['admin packs set', selling.setPack, { name: 'x', credits: 1, price: 1, currency: 'usd' }, 'small'],
  ['admin keys list', selling.listKeys],
  ['admin keys create', selling.createKey, {}, 'x'],
  ['admin jobs', operator.jobs],
  ['admin job', operator.job, {}, ID],
  ['admin end', operator.end, { reason: 'x', refund: true }, ID],
  ['admin close', operator.close, { reason: 'x' }, 'user_x'],
  ['admin erase', operator.erase, { reason: 'x', yes: true }, 'user_x'],
  ['admin audit', operator.audit],
  ['admin revoke-tokens', admin.revokeTokens, {}, 'user_x'],
  ['admin verify', admin.verify],
  ['admin webhooks list', webhooks.list, {}, 'video'],
  ['admin webhooks show', webhooks.show, {}, ID],
  ['admin webhooks rotate', webhooks.rotate, {}, ID],
  ['admin webhooks deliveries', webhooks.deliveries, {}, ID],
  ['admin webhooks dead', webhooks.dead, {}, ID],
  ['admin webhooks replay', webhooks.replay, {}, ID],
]

t.test('whatever a server answers, no command lets it steer the terminal', async (t) => {
  for (const [name, command, options = {}, ...args] of COMMANDS) {
    for (const json of [false, true]) {
      const written = [process.stdout, process.stderr].map((stream) => t.capture(stream, 'write', () => true))
      await command(focusOf(json), options as never, ...(args as never[])).finally(() => {
        for (const { restore } of written) restore()
      })
      const [stdout = '', stderr = ''] = written.map(({ args }) =>
        args()
          .map(([text]) => String(text))
          .join(''),
      )
      t.ok(stdout + stderr, `${name} says something`)
      t.notMatch(stdout + stderr, /(?!\n)[\p{Cc}\p{Cf}]/u, name)
      t.notMatch(stdout + stderr, /^All is well/m, `${name}: no line of its own`)
      if (json) t.doesNotThrow(() => JSON.parse(stdout), `${name} prints JSON`)
    }
  }
})

t.test('a hint with a word of the server is one command for the shell', async (t) => {
  const refused = new Failure('insufficient_scope', 'No.', { details: { scope: 'admin; touch owned' } })
  t.match(advise(refused, 'login', run).hint, /login --scope 'admin; touch owned'$/)
})
