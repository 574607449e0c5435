import { usage } from '../failure.ts'
import type { Focus } from '../focus.ts'
import { day, line, print, printJson, printTable, remark } from '../output.ts'
import { everyPage } from '../pages.ts'

export async function list(focus: Focus): Promise<void> {
  const answer = await everyPage('grants', (query) => focus.ask((api) => api.GET('/api/grants', { params: { query } })))
  if (focus.json) return printJson(answer)
  if (!answer.grants.length) return remark(line`You have allowed no program.`)
  await printTable(
    [
      { title: 'id', value: ({ id }) => id },
      { title: 'program', value: ({ name, client_id }) => name ?? client_id, shrinks: true },
      { title: 'for', value: ({ resource, app }) => resource ?? app ?? '', shrinks: true },
      { title: 'scopes', value: ({ scopes }) => scopes.join(',') },
      { title: 'budget', value: (grant) => budgetText(grant) },
      { title: 'last used', value: ({ last_used_at }) => day(last_used_at) },
    ],
    answer.grants,
  )
}

type Period = 'day' | 'week' | 'month'

export async function set(
  focus: Focus,
  options: { budget?: number | false; period?: Period | false },
  id: string,
): Promise<void> {
  const { budget, period } = options
  const body = {
    ...(budget !== undefined && { budget: budget === false ? null : budget }),
    ...(period !== undefined && { period: period === false ? null : period }),
  }
  if (!Object.keys(body).length)
    throw usage('Nothing to change.', 'Give --budget, --no-budget, --period or --no-period.')
  const answer = await focus.ask((api) => api.PATCH('/api/grants/{id}', { params: { path: { id } }, body }))
  if (focus.json) return printJson(answer)
  print(line`${answer.grant.name ?? answer.grant.client_id}: ${budgetText(answer.grant)}`)
}

export async function revoke(focus: Focus, _: object, id: string): Promise<void> {
  await focus.ask((api) => api.DELETE('/api/grants/{id}', { params: { path: { id } } }))
  if (focus.json) printJson({ revoked: id })
  else print(line`Revoked ${id}.`)
}

/** Such as `40 of 100 a month`. */
function budgetText({ budget, period, spent }: { budget: number | null; period: Period | null; spent: number | null }) {
  if (budget === null) return 'no limit'
  return `${spent ?? 0} of ${budget}${period === null ? '' : ` a ${period}`}`
}
