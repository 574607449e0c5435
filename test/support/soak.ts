/** `npm run test:soak -- --minutes N`: the model test for N minutes; it prints its seed first. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } })
const minutes = Number(values.minutes)
if (!(minutes > 0)) throw new Error('--minutes takes a number above 0.')
const run = fileURLToPath(new URL('run.ts', import.meta.url))
const args = [run, `--timeout=${Math.ceil(minutes * 60 + 300)}`, 'test/process/ledger-model.test.ts']
const env = { ...process.env, FC_MINUTES: String(minutes) }
process.exitCode = spawnSync(process.execPath, args, { env, stdio: 'inherit' }).status ?? 1
