import type { components } from '../../../client/src/api-types.d.ts'
import { webPage } from '../device-login.ts'
import { exported } from '../export.ts'
import { Failure } from '../failure.ts'
import { remarkOlder } from '../filters.ts'
import type { Focus } from '../focus.ts'
import { openBrowser } from '../login-screen.ts'
import { type Column, day, line, moment, print, printFields, printJson, printTable, remark } from '../output.ts'

export async function wallet(focus: Focus, { app }: { app?: string }): Promise<void> {
  const query = app === undefined ? {} : { app }
  const answer = await focus.ask((api) => api.GET('/api/wallet', { params: { query } }))
  if (focus.json) return printJson(answer)
  const { account, apps, app_grant } = answer
  printFields({ Credits: account.credits, Held: account.held, Plan: account.plan })
  if (apps.length) {
    print(line``)
    await printTable(
      [
        { title: 'app', value: ({ slug }) => slug, shrinks: true },
        { title: 'starter credits', value: ({ starter_credits }) => starter_credits },
        { title: 'granted', value: ({ granted, granted_at }) => (granted ? moment(granted_at) : 'no') },
      ],
      apps,
    )
  }
  if (app_grant && !app_grant.granted) remark(line`${app_grant.slug} grants no starter credits.`)
}

/** Prints the page where credits are bought, and opens it if this machine has a browser. @throws {Failure} not_selling */
export async function buy(focus: Focus, { browser }: { browser?: boolean }): Promise<void> {
  const { buy_url } = await focus.ask((api) => api.GET('/api/wallet'))
  const page = webPage(buy_url)
  if (!page) throw new Failure('not_selling', `${focus.server} sells no credits`)
  if (focus.json) return printJson({ buy_url: page })
  print(line`${page}`)
  if (browser !== false) await openBrowser(page)
}

interface EntriesOptions {
  kind?: components['schemas']['Entry']['kind']
  app?: string
  token?: string
  from?: string
  to?: string
  until?: string
  limit?: number
  cursor?: string
  csv?: boolean
}

/** The columns of ledger entries, for users and administrators. */
export const ENTRY_COLUMNS: Column<components['schemas']['Entry']>[] = [
  { title: 'no', value: ({ seq }) => seq },
  { title: 'time', value: ({ created_at }) => moment(created_at), short: ({ created_at }) => day(created_at) },
  { title: 'kind', value: ({ kind }) => kind },
  { title: 'amount', value: ({ amount }) => amount },
  { title: 'balance', value: ({ balance_after }) => balance_after },
  {
    title: 'for',
    value: ({ job_id, corrects_job_id, reason, reference }) => job_id ?? corrects_job_id ?? reason ?? reference,
    shrinks: true,
  },
]

export async function entries(focus: Focus, { csv, ...query }: EntriesOptions): Promise<void> {
  if (csv) return exported(focus, '/api/wallet/entries', { params: { query } })
  const answer = await focus.ask((api) => api.GET('/api/wallet/entries', { params: { query } }))
  if (focus.json) return printJson(answer)
  if (answer.entries.length) {
    await printTable(ENTRY_COLUMNS, answer.entries)
  } else remark(line`${answer.next_cursor ? 'No matching entries on this page.' : 'No entries.'}`)
  remarkOlder(focus, 'Older entries', ['entries'], query, answer.next_cursor)
}
