import type { Focus } from '../focus.ts'
import { day, line, print, printJson, printTable, remark } from '../output.ts'
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
      { title: 'last used', value: ({ last_used_at }) => day(last_used_at) },
      { title: 'expires', value: ({ expires_at }) => day(expires_at) },
    ],
    answer.tokens,
  )
}

export async function revoke(focus: Focus, _: object, id: string): Promise<void> {
  const { source } = await focus.token()
  await focus.ask((api) => api.DELETE('/api/tokens/{id}', { params: { path: { id } } }))
  if (id === 'current' && source === 'login') await removeLogin(focus.server)
  if (focus.json) printJson({ revoked: id })
  else print(line`Revoked ${id === 'current' ? 'the token of this login' : id}.`)
}
