import type { ActionRow } from '../../../operator/actions.ts'
import { amountText } from '../words.ts'
import { type Cell, exactTime, text } from './cells.ts'

/** Lines of the audit log. */

export const ACTION_COLUMNS = ['When', 'What', 'To', 'Changed', 'By']

/** The accounts that lines name: who made the changes, and whom they concern. */
export const peopleOf = (lines: ActionRow[]): string[] =>
  lines.flatMap(({ administrator, account_id }) => [administrator.id, ...(account_id ? [account_id] : [])])

/** @param titles of `peopleOf`, by account id */
export function actionCells(line: ActionRow, titles: Map<string, string>): Cell[] {
  const { action, administrator, via, target, account_id, reason } = line
  const { id, clerk_id } = administrator
  return [
    exactTime(line.created_at),
    text(ACTION_WORDS[action] ?? action, { note: reason ? `“${reason}”` : undefined }),
    target ? text(targetText(target, titles), { href: hrefOf(target, account_id) }) : text(null),
    text(changeText(line), { style: 'long' }),
    text(titles.get(id) ?? clerk_id ?? id, { href: `/console/audit?administrator=${id}`, note: `by ${WAYS[via]}` }),
  ]
}

/** Operations in words; one that is not here is called by its operation id. */
export const ACTION_WORDS: Record<string, string> = {
  adjustCredits: 'Credits given or taken',
  refundJob: 'Job refunded',
  endJob: 'Job ended',
  revokeAccountTokens: 'All tokens revoked',
  revokeTokenOfAccount: 'Token revoked',
  revokeGrantOfAccount: 'Access of an app ended',
  closeAccount: 'Account closed',
  eraseAccount: 'Person erased',
  setApp: 'App changed',
  setPack: 'Pack changed',
  removePack: 'Pack removed',
  createServiceKey: 'Service key made',
  revokeServiceKey: 'Service key revoked',
  createWebhookEndpoint: 'Endpoint added',
  updateWebhookEndpoint: 'Endpoint changed',
  rotateWebhookSecret: 'Secret rotated',
  deleteWebhookEndpoint: 'Endpoint removed',
  sendTestWebhook: 'Test message sent',
  replayWebhookMessages: 'Messages sent again',
  dismissDeadWebhookMessages: 'Messages deleted',
}

/** The kinds of what is changed, as a target begins, with the changes of each. */
export const KINDS: Record<string, string[]> = {
  account: ['adjustCredits', 'revokeAccountTokens', 'closeAccount', 'eraseAccount'],
  job: ['refundJob', 'endJob'],
  token: ['revokeTokenOfAccount'],
  grant: ['revokeGrantOfAccount'],
  app: ['setApp'],
  pack: ['setPack', 'removePack'],
  'service key': ['createServiceKey', 'revokeServiceKey'],
  webhook: [
    ...['createWebhookEndpoint', 'updateWebhookEndpoint', 'rotateWebhookSecret', 'deleteWebhookEndpoint'],
    ...['sendTestWebhook', 'replayWebhookMessages', 'dismissDeadWebhookMessages'],
  ],
}

/**
 * What is meant by a typed target, whose case and spaces do not matter: a kind alone means every change of that kind, a name alone what has
 * it, of any kind. An index serves each, as there is none for parts of a target.
 */
export function meantBy(typed: string): { action?: string[]; target?: string[] } {
  const words = typed.trim().replaceAll(/\s+/g, ' ')
  const small = words.toLowerCase()
  if (!words) return {}
  if (Object.hasOwn(KINDS, small)) return { action: KINDS[small] ?? [] }
  // Slugs and ids are in lower case; targets of an earlier release may not be.
  const named = new RegExp(`^(${Object.keys(KINDS).join('|')}) `).test(small)
  return { target: named ? [words, small] : Object.keys(KINDS).map((kind) => `${kind} ${small}`) }
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

/** `ada@example.com`, `job 01a2…c3d4`, `app video`: people have their names, other ids are shortened. */
const targetText = (target: string, titles: Map<string, string>): string =>
  target
    .replace(/^account (.+)$/, (whole, id) => titles.get(id) ?? whole)
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, (id) => `${id.slice(0, 8)}…${id.slice(-4)}`)

/** `starter credits: 20 → 50`: what differs; of what is new, what it has. */
function changeText({ before, after }: ActionRow): string {
  const fields = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
  const parts = fields.map((field) => {
    const [was, is] = [valueText(before?.[field]), valueText(after?.[field])]
    if (was === is || field === 'created_at') return ''
    const name = field.replaceAll('_', ' ')
    if (was === '') return `${name}: ${is}`
    return `${name}: ${was} → ${is || 'none'}`
  })
  return parts.filter(Boolean).join('; ')
}

function valueText(value: unknown): string {
  if (value === undefined || value === null || value === false) return ''
  if (typeof value === 'number') return amountText(value)
  if (value === true) return 'yes'
  if (Array.isArray(value)) return value.join(', ')
  return typeof value === 'string' ? value : JSON.stringify(value)
}
