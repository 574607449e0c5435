import type { paths } from '../../../client/src/api-types.d.ts'
import { usage } from '../failure.ts'
import type { Focus } from '../focus.ts'
import { creditsText, day, line, moment, print, printFields, printJson, printTable, remark } from '../output.ts'
import { everyPage } from '../pages.ts'
import { removeLogin } from '../store.ts'

export async function list(focus: Focus): Promise<void> {
  const answer = await everyPage('tokens', (query) => focus.ask((api) => api.GET('/api/tokens', { params: { query } })))
  if (focus.json) return printJson(answer)
  if (!answer.tokens.length) return remark(line`No active tokens.`)
  await printTable(
    [
      { title: 'id', value: ({ id, current }) => (current ? `${id} *` : id) },
      { title: 'name', value: ({ name }) => name, shrinks: true },
      { title: 'scopes', value: ({ scopes }) => scopes.join(','), shrinks: true },
      { title: 'budget', value: budgetText, shrinks: true },
      { title: 'last used', value: ({ last_used_at }) => day(last_used_at) },
      { title: 'expires', value: ({ expires_at }) => day(expires_at) },
    ],
    answer.tokens,
  )
}

interface Limits {
  name?: string
  /** false: --no-budget */
  budget?: number | false
  period?: 'day' | 'week' | 'month' | false
  app?: string[] | false
}

/** The given options as fields of the request; null removes a limit. */
const asked = ({ name, budget, period, app }: Limits) => ({
  ...(name !== undefined && { name }),
  ...(budget !== undefined && { budget: budget === false ? null : budget }),
  ...(period !== undefined && { period: period || null }),
  ...(app !== undefined && { apps: app || null }),
})

export async function create(
  focus: Focus,
  {
    scope,
    expires,
    name,
    ...limits
  }: Limits & { name: string; scope?: ('account' | 'oauth' | 'admin')[]; expires?: number },
): Promise<void> {
  const body = {
    name,
    ...(scope && { scopes: scope }),
    ...(expires !== undefined && { expires_in_days: expires }),
    ...asked(limits),
  }
  const made = await focus.ask((api) => api.POST('/api/tokens', { body }))
  if (focus.json) return printJson(made)
  print(line`${made.token}`)
  remark(line`Store it now: it is not shown again. It expires on ${day(made.expires_at)}; its id is ${made.id}.`)
}

export async function change(focus: Focus, limits: Limits, id: string): Promise<void> {
  const body = asked(limits)
  if (Object.keys(body).length === 0) throw usage('Nothing to change', 'Try: --name, --budget, --period or --app')
  const answer = await focus.ask((api) => api.PATCH('/api/tokens/{id}', { params: { path: { id } }, body }))
  if (focus.json) return printJson(answer)
  const { token } = answer
  printFields({
    Token: token.id,
    Name: token.name,
    Budget: budgetText(token) || 'none',
    Resets: moment(token.resets_at),
    Apps: token.apps?.join(', ') ?? 'all',
  })
}

type Token = paths['/api/tokens']['get']['responses'][200]['content']['application/json']['tokens'][number]

/** Such as `12 of 50 credits a day`. */
function budgetText({ budget, spent, period }: Pick<Token, 'budget' | 'spent' | 'period'>): string {
  if (budget === null) return ''
  return `${spent} of ${creditsText(budget)}${period ? ` a ${period}` : ''}`
}

export async function revoke(focus: Focus, _: object, id: string): Promise<void> {
  const { source } = await focus.token()
  await focus.ask((api) => api.DELETE('/api/tokens/{id}', { params: { path: { id } } }))
  if (id === 'current' && source === 'login') await removeLogin(focus.server)
  if (focus.json) printJson({ revoked: id })
  else print(line`Revoked ${id === 'current' ? 'the token of this login' : id}.`)
}
