import type { ActionRow } from '../../../operator/actions.ts'
import { type Cell, code, id as idCell, text, time } from './cells.ts'

/** Lines of the audit log. */

export const ACTION_COLUMNS = ['When', 'What', 'To', 'Changed', 'By']

export function actionCells(line: ActionRow): Cell[] {
  const { administrator, via, target, account_id, reason } = line
  const by = idCell(administrator.clerk_id ?? administrator.id, `/console/audit?administrator=${administrator.id}`)
  return [
    time(line.created_at),
    { ...code(line.action), ...(reason && { note: `“${reason}”` }) },
    target ? text(targetText(target), { href: hrefOf(target, account_id), title: target }) : text(null),
    text(changeText(line)),
    { ...by, note: `by ${WAYS[via]}` },
  ]
}

const WAYS = { api: 'the API', cli: 'the command line', console: 'this console' }

/** The page of what was changed, where it has one. */
function hrefOf(target: string, account_id: string | null): string | undefined {
  const [kind, name] = target.split(' ', 2)
  if (target.startsWith('service key ')) return '/console/keys'
  if (kind === 'app') return `/console/apps/${name}`
  if (kind === 'pack') return '/console/packs'
  if (kind === 'webhook') return `/console/webhooks/${name}`
  if (kind === 'job' && account_id) return `/console/accounts/${account_id}/jobs/${name}`
  return account_id ? `/console/accounts/${account_id}` : undefined
}

/** `job 01a2…c3d4`: ids are shortened, names are not. */
const targetText = (target: string): string =>
  target.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, (id) => `${id.slice(0, 8)}…${id.slice(-4)}`)

/** `starter_credits: 20 → 50` */
function changeText({ before, after }: ActionRow): string {
  const fields = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
  const parts = fields.map((field) => {
    const [was, is] = [before?.[field], after?.[field]]
    if (was === undefined) return `${field}: ${valueText(is)}`
    return `${field}: ${valueText(was)} → ${is === undefined ? 'gone' : valueText(is)}`
  })
  return parts.join('; ')
}

const valueText = (value: unknown): string =>
  typeof value === 'string' ? value : value === null || value === undefined ? 'none' : JSON.stringify(value)
