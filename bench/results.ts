import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import { promisify } from 'node:util'
import { query } from '../test/support/database.ts'
import type { World } from './world.ts'

/** The machine's state, read before the bench starts anything. */
const [busy = 0] = loadavg()
const FILE = new URL('RESULTS.md', import.meta.url)
const TITLE = `# What it does on one machine

Each section is written by the command above it. How to read them: [README.md](README.md).
`

/** A name, a value, and its goal (`≥ 1.2`), if it has one. */
export type Figure = [name: string, value: number, goal?: string]

/** The result of a measurement: figures for the first table, and details. */
export interface Measurement {
  figures: Figure[]
  /** Markdown with a heading */
  part?: string
}

/** The figures with their goals, and whether each is met. */
const goals = (figures: Figure[]): string =>
  table(
    ['figure', 'measured', 'goal', ''],
    figures.map(([name, value, goal = '']) => [name, value, goal, verdict(value, goal)]),
  )

function verdict(value: number, goal: string): string {
  const [, sign, limit] = /^([≥≤]) ([\d.]+)/.exec(goal) ?? []
  if (!sign) return ''
  if (Number.isNaN(value)) return 'not measured'
  return (sign === '≥' ? value >= Number(limit) : value <= Number(limit)) ? 'met' : '**missed**'
}

/** A Markdown table. Numbers are rounded to three significant digits. */
export function table(head: string[], rows: (string | number)[][]): string {
  const line = (cells: (string | number)[]) =>
    `| ${cells.map((cell) => (typeof cell === 'number' ? rounded(cell) : cell)).join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i ? '---:' : '---'))), ...rows.map(line)].join('\n')
}

function rounded(value: number): string {
  if (Number.isNaN(value)) return '–'
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/**
 * Prints a section and writes it to RESULTS.md, where it replaces the section of the same command.
 * @param keep false: only prints it
 */
export async function report(command: string, world: World, measured: Measurement[], keep = true) {
  const figures = goals(measured.flatMap((measurement) => measurement.figures))
  const parts = measured.flatMap(({ part }) => part ?? [])
  const section = `## \`${command}\`\n\n${[await circumstances(world.postgres.url, world.pgbench), figures, ...parts].join('\n\n')}\n`
  console.log(`\n${section}`)
  if (!keep) return
  const sections = existsSync(FILE) ? (await readFile(FILE, 'utf8')).split(/^(?=## )/m).slice(1) : []
  const others = sections.filter((other) => !other.startsWith(`## \`${command}\`\n`))
  const all = [...others, section].sort().map((text) => text.trimEnd())
  await writeFile(FILE, `${[TITLE.trimEnd(), ...all].join('\n\n')}\n`)
}

async function circumstances(url: string, pgbench: string | undefined): Promise<string> {
  const [server] = await query<{ server_version: string }>(url, 'show server_version')
  const said = async (program: string, ...args: string[]) =>
    (await promisify(execFile)(program, args).catch(() => ({ stdout: '' }))).stdout.trim()
  const commit = await said('git', 'describe', '--always')
  // What another part of the bench has written there is no change of what is measured.
  const changed = await said('git', 'status', '--porcelain', '--', ':/', ':(exclude,top)bench/RESULTS.md')
  return [
    `- ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC${commit && `, commit ${commit}${changed && '-dirty'}`}`,
    `- ${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GB, ${type()} ${release()}${busy > 1 ? `; **busy with other things** (load average ${rounded(busy)} before)` : ''}`,
    `- Node ${process.versions.node}, Postgres ${server?.server_version}, ${pgbench ? await said(pgbench, '--version') : 'no pgbench here'}`,
  ].join('\n')
}
