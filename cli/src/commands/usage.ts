import type { components } from '../../../client/src/api-types.d.ts'
import { exported } from '../export.ts'
import type { Focus } from '../focus.ts'
import { type Column, creditsText, line, printJson, printTable, remark } from '../output.ts'

type Usage = components['schemas']['UsageResponse']
type Row = components['schemas']['UsageRow']

interface Options {
  by?: string
  from?: string
  to?: string
  csv?: boolean
}

const GROUPS = ['app', 'action', 'token', 'day', 'plan'] as const

/** The command `usage`. @param all of every account, not of the signed-in one */
export const usage =
  (all: boolean) =>
  async (focus: Focus, { by, csv, ...days }: Options): Promise<void> => {
    const path = all ? '/api/admin/usage' : '/api/usage'
    const params = { params: { query: { ...days, ...(by !== undefined && { group_by: by }) } } }
    if (csv) return exported(focus, path, params)
    const answer = await focus.ask((api) => api.GET(path, params))
    if (focus.json) return printJson(answer)
    await printUsage(answer)
  }

async function printUsage({ from, to, rows, total, more }: Usage): Promise<void> {
  if (rows.length) {
    const grouped = GROUPS.filter((group) => rows.some((row) => row[group] !== undefined))
    const columns: Column<Row>[] = grouped.map((group) => ({
      title: group,
      value: (row) => (group === 'token' ? (row.name ?? row.token) : row[group]),
      shrinks: group !== 'day',
    }))
    await printTable(
      [
        ...columns,
        ...(['jobs', 'completed', 'failed', 'credits', 'held'] as const).map((sum) => ({
          title: sum,
          value: (row: Row) => row[sum],
        })),
      ],
      rows,
    )
  }
  const held = total.held > 0 ? `, and ${total.held} held` : ''
  const jobs = `${total.jobs} ${total.jobs === 1 ? 'job' : 'jobs'}`
  remark(line`From ${from} until before ${to} (UTC): ${jobs}, ${creditsText(total.credits)}${held}.`)
  if (more) remark(line`There are more rows. Select fewer days.`)
}
