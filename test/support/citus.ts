/**
 * `npm run test:citus`: the tests of the service on a Citus cluster. TEST_CITUS_URLS names its nodes, the coordinator first,
 * each by the URL of a database to connect to, as superuser:
 *
 *   TEST_CITUS_URLS='postgres://postgres@127.0.0.1:5600/postgres postgres://postgres@127.0.0.1:5601/postgres …' npm run test:citus
 *
 * A template is migrated and sharded once, and every test file gets a clone of it on every node.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { urlsOf } from './database.ts'

/** What has nothing to do with the database, or makes its own, is left out. */
const FOLDERS = [
  ...['access', 'accounts', 'citus', 'concurrency', 'console', 'device', 'identity', 'ledger', 'oauth'],
  ...['pages', 'payments', 'webhooks'],
]
const OTHERS = [
  ...['db/outage', 'http/failures', 'http/limits', 'process/instances', 'process/journey', 'process/ledger-model'],
  ...['process/logs', 'process/metrics', 'process/race-matrix', 'process/rolling', 'process/verify-command'],
]

const root = new URL('../../', import.meta.url)
const filesOf = (folder: string) =>
  readdirSync(new URL(`test/${folder}/`, root))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `test/${folder}/${name}`)
const files = () => [...FOLDERS.flatMap(filesOf), ...OTHERS.map((name) => `test/${name}.test.ts`)]

const [coordinator, ...workers] = urlsOf(process.env.TEST_CITUS_URLS)
if (!coordinator || !workers.length) {
  console.error('Set TEST_CITUS_URLS to the URLs of a Citus cluster: the coordinator, then at least one worker.')
  process.exit(1)
}
const given = process.argv.slice(2)
const args = [fileURLToPath(new URL('run.ts', import.meta.url)), ...(given.length ? given : files())]
const env = { ...process.env, TEST_DATABASE_URL: coordinator, TEST_NODES: [coordinator, ...workers].join(' ') }
process.exitCode = spawnSync(process.execPath, args, { env, stdio: 'inherit' }).status ?? 1
