import type { components } from '../../../client/src/api-types.d.ts'
import { EXIT, Failure } from '../failure.ts'
import type { Focus } from '../focus.ts'
import { colours, creditsText, line, print, printFields, printJson, printTable, remark } from '../output.ts'
import { everyPage } from '../pages.ts'
import { printAccount } from './operator.ts'

type App = components['schemas']['App']

const allApps = (focus: Focus) =>
  everyPage('apps', (query) => focus.ask((api) => api.GET('/api/admin/apps', { params: { query } })))

export async function listApps(focus: Focus): Promise<void> {
  const answer = await allApps(focus)
  if (focus.json) return printJson(answer)
  if (!answer.apps.length) return remark(line`No registered apps.`)
  await printTable(
    [
      { title: 'app', value: ({ slug }) => slug },
      { title: 'name', value: ({ name }) => name, shrinks: true },
      { title: 'starter credits', value: ({ starter_credits }) => starter_credits },
      { title: 'settle key', value: ({ has_settle_key }) => has_settle_key },
      { title: 'origins', value: ({ origins }) => origins.join(' '), shrinks: true },
    ],
    answer.apps,
  )
}

interface AppOptions {
  name?: string
  starterCredits?: number
  /** false: --no-origin */
  origin?: string[] | false
  returnPath?: string[] | false
  redirectUri?: string[] | false
  resource?: string[] | false
  settleKey?: 'rotate' | 'remove'
  /** false: --no-max-overage */
  maxOverage?: { credits: number } | { percent: number } | false
}

export async function setApp(focus: Focus, options: AppOptions, slug: string): Promise<void> {
  const { name, origin, returnPath, redirectUri, resource, settleKey, starterCredits, maxOverage } = options
  const body = {
    ...(starterCredits !== undefined && { starter_credits: starterCredits }),
    ...(name !== undefined && { name }),
    ...(origin !== undefined && { origins: origin || [] }),
    ...(returnPath !== undefined && { return_paths: returnPath || [] }),
    ...(redirectUri !== undefined && { redirect_uris: redirectUri || [] }),
    ...(resource !== undefined && { resources: resource || [] }),
    ...(settleKey && { settle_key: settleKey }),
    ...(maxOverage !== undefined && { max_overage: maxOverage || null }),
  }
  const answer = await focus.ask((api) => api.PUT('/api/admin/apps/{slug}', { params: { path: { slug } }, body }))
  if (focus.json) return printJson(answer)
  printApp(answer.app)
}

function printApp(app: App): void {
  printFields({
    App: app.slug,
    Name: app.name,
    'Starter credits': app.starter_credits,
    'Max. overage': overageText(app.max_overage),
    Origins: app.origins.join(' '),
    // An older server does not have these fields.
    'Return paths': app.return_paths?.join(' ') || undefined,
    'Redirect URIs': app.redirect_uris?.join(' ') || undefined,
    Resources: app.resources?.join(' ') || undefined,
    'Settle key': app.settle_key ?? app.has_settle_key,
  })
  if (app.settle_key) remark(line`The settle key is shown only once. Store it on the app's server.`)
}

const overageText = (cap: App['max_overage']): string =>
  !cap ? 'no limit' : cap.credits !== undefined ? `${cap.credits} credits` : `${cap.percent} % of the estimate`

interface CreditsOptions {
  reference: string
  reason: string
  allowNegative?: boolean
}

/** The commands that change a balance, one for each kind of entry. */
export const credits =
  (kind: 'topup' | 'admin_grant' | 'adjustment') =>
  async (focus: Focus, options: CreditsOptions, clerk_id: string, amount: number): Promise<void> => {
    const { reference, reason, allowNegative: allow_negative = false } = options
    const body = { clerk_id, amount, kind, reference, reason, allow_negative }
    const answer = await focus.ask((api) => api.POST('/api/admin/credits', { body }))
    if (focus.json) return printJson(answer)
    const { entry } = answer
    printAccount(answer.account)
    remark(line`Entry ${entry.seq}: ${entry.kind} ${entry.amount > 0 ? '+' : ''}${entry.amount}.`)
  }

interface RefundOptions {
  account: string
  reason: string
  amount?: number
  part?: number
}

export async function refund(focus: Focus, options: RefundOptions, id: string): Promise<void> {
  const { account: account_id, reason, amount, part } = options
  const body = { account_id, reason, ...(amount !== undefined && { amount }), ...(part !== undefined && { part }) }
  const answer = await focus.ask((api) => api.POST('/api/admin/jobs/{id}/refund', { params: { path: { id } }, body }))
  if (focus.json) return printJson(answer)
  printAccount(answer.account)
  remark(
    line`Entry ${answer.entry.seq}: gave back ${creditsText(answer.entry.amount)}, ${answer.refunded} of this job in all.`,
  )
}

export async function revokeTokens(focus: Focus, _: object, clerk_id: string): Promise<void> {
  const answer = await focus.ask((api) => api.POST('/api/admin/accounts/revoke-tokens', { body: { clerk_id } }))
  if (focus.json) return printJson(answer)
  print(line`Revoked ${answer.revoked} ${answer.revoked === 1 ? 'token' : 'tokens'}.`)
}

/** @throws {Failure} ledger_broken, exit code 1, after a table of the violations */
export async function verify(focus: Focus): Promise<void> {
  const answer = await focus.ask((api) => api.GET('/api/admin/verify'))
  const { ok, checks } = answer
  const broken = checks.filter(({ violations }) => violations > 0)
  if (focus.json) printJson(answer)
  else if (ok) print(line`The ledger is consistent: all ${checks.length} checks passed.`)
  else {
    const { bold } = colours(process.stdout)
    await printTable(
      [
        { title: 'check', value: ({ name }) => name, shrinks: true },
        { title: 'violations', value: ({ violations }) => violations },
      ],
      broken,
    )
    for (const { name, examples, meaning, remedy } of broken) {
      print(line``)
      print(line`${bold(line`${name}`)}`)
      // An older server does not have these fields.
      if (meaning) print(line`${meaning}`)
      if (remedy) print(line`What to do: ${remedy}`)
      print(line`For example:`)
      const titles = [...new Set(examples.flatMap(Object.keys))]
      await printTable(
        titles.map((title) => ({ title, value: (row: Record<string, unknown>) => cell(row[title]) })),
        examples,
      )
    }
  }
  if (ok) return
  throw new Failure('ledger_broken', `The ledger is broken: ${broken.length} of ${checks.length} checks failed`, {
    exitCode: EXIT.failed,
    hint: 'What to do is in docs/ledger.md of the Focus API.',
  })
}

const cell = (value: unknown): string | number | null =>
  typeof value === 'number' || typeof value === 'string' ? value : value === null ? null : JSON.stringify(value)
