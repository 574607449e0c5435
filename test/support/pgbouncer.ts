/**
 * `npm run test:pgbouncer`: tests whose service reaches its database through PgBouncer in transaction mode, with
 * STATEMENT_NAMES=off; what a test itself asks the database goes there directly. Needs pgbouncer on the PATH, any version.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from './free-port.ts'
import { startPostgres } from './postgres.ts'

/** Tests that use the database in ways that a pooler affects. */
const FILES = [
  ...['ledger/jobs-create', 'ledger/jobs-settle', 'ledger/jobs-list', 'ledger/wallet', 'ledger/entries'],
  ...[
    'ledger/metadata',
    'ledger/verify',
    'concurrency/races',
    'process/race-matrix',
    'process/ledger-model',
    'ledger/expiry',
  ],
  ...['accounts/admin', 'webhooks/events', 'accounts/cleaning', 'access/settle-keys', 'access/tokens'],
  ...['device/device', 'device/device-complete'],
].map((name) => `test/${name}.test.ts`)

const run = fileURLToPath(new URL('run.ts', import.meta.url))
const given = process.argv.slice(2)
const postgres = await startPostgres()
const folder = await mkdtemp(join(tmpdir(), 'focus-pgbouncer-'))
let bouncer: ReturnType<typeof spawn> | undefined
try {
  const port = await freePort()
  bouncer = await startBouncer(port)
  const env = {
    ...process.env,
    TEST_DATABASE_URL: postgres.url,
    TEST_POOLER_URL: `postgres://postgres@127.0.0.1:${port}`,
  }
  const args = [run, ...(given.length ? given : FILES)]
  process.exitCode = spawnSync(process.execPath, args, { env, stdio: 'inherit' }).status ?? 1
} finally {
  if (bouncer?.exitCode === null) {
    bouncer.kill('SIGTERM')
    await once(bouncer, 'exit')
  }
  await postgres.stop()
  await rm(folder, { recursive: true })
}

/** Every database of the server, by its own name: a clone is made for each test file. */
async function startBouncer(port: number) {
  const { hostname, port: behind, username, password } = new URL(postgres.url)
  const file = join(folder, 'pgbouncer.ini')
  await writeFile(
    file,
    `[databases]
* = host=${hostname} port=${behind} user=${username} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 10
max_client_conn = 1000
ignore_startup_parameters = statement_timeout, options
log_connections = 0
log_disconnections = 0
`,
  )
  // pgbouncer refuses to run as root, so `nobody` must read the folder.
  await chmod(folder, 0o755)
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const child = spawn('pgbouncer', [...user, '-q', file], { stdio: ['ignore', 'inherit', 'inherit'] })
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`pgbouncer ended with ${code}.`)
  })
  await Promise.race([listening(port), failed])
  failed.catch(() => {})
  return child
}

async function listening(port: number): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const socket = connect(port, '127.0.0.1')
    const open = await once(socket, 'connect').catch(() => undefined)
    socket.destroy()
    if (open) return
    await sleep(50)
  }
  throw new Error('pgbouncer does not listen.')
}
