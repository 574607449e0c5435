/**
 * `npm run test:citus`: the tests of the ledger on a Citus cluster. TEST_CITUS_URLS names its nodes, the coordinator first,
 * each by the URL of a database to connect to, as superuser:
 *
 *   TEST_CITUS_URLS='postgres://postgres@127.0.0.1:5600/postgres postgres://postgres@127.0.0.1:5601/postgres …' npm run test:citus
 *
 * A template is migrated and sharded once, and every test file gets a clone of it on every node.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { urlsOf } from './database.ts'

/** What posts, and what reads and writes beside it in a way that a cluster could refuse. */
const FILES = [
  'ledger/jobs-create',
  'ledger/jobs-settle',
  'ledger/jobs-list',
  'ledger/wallet',
  'accounts/admin',
  'ledger/entries',
  'ledger/metadata',
  'access/settle-keys',
  'ledger/verify',
  'concurrency/races',
  'process/race-matrix',
  'process/ledger-model',
  'process/instances',
  'ledger/expiry',
  'ledger/budgets',
  'payments/local',
  'payments/auto-topup',
  'payments/stripe',
  'oauth/grants',
  'webhooks/events',
  'accounts/cleaning',
  'accounts/erase',
  'device/device',
  'device/device-complete',
  'access/tokens',
  'identity/clerk-webhooks',
].map((name) => `test/${name}.test.ts`)

const [coordinator, ...workers] = urlsOf(process.env.TEST_CITUS_URLS)
if (!coordinator || !workers.length) {
  console.error('Set TEST_CITUS_URLS to the URLs of a Citus cluster: the coordinator, then at least one worker.')
  process.exit(1)
}
const given = process.argv.slice(2)
const args = [fileURLToPath(new URL('run.ts', import.meta.url)), ...(given.length ? given : FILES)]
const env = { ...process.env, TEST_DATABASE_URL: coordinator, TEST_NODES: [coordinator, ...workers].join(' ') }
process.exitCode = spawnSync(process.execPath, args, { env, stdio: 'inherit' }).status ?? 1
