/**
 * The process that owns a temporary Postgres, started by startPostgres(). It exits when its stdin
 * closes, also when the parent was killed, and leaves no process and no file.
 * stdin takes `restart fast`, `restart immediate` and `reap <process group, or 0>`. stdout answers with a line of
 * JSON, { url } once the server is ready or { error }.
 */
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { findPlace } from './postgres-place.ts'
import { PostgresServer, type Settings } from './postgres-server.ts'

const testSettings: Settings = {
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '300',
  shared_buffers: '64MB',
  // In the data folder, which is removed, instead of /dev/shm, which is 64 MB in a container.
  dynamic_shared_memory_type: 'mmap',
  timezone: 'UTC',
  log_timezone: 'UTC',
}

let folder: string | undefined
let server: PostgresServer | undefined
let group = 0

// Ctrl-C is for the parent: its tests need the server until they have ended.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
// The parent may be gone when this process answers.
process.stdout.on('error', () => {})
// Registered first, so that a fault of this script leaves nothing either.
process.on('exit', () => {
  server?.kill()
  if (folder) rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
})

try {
  const place = await findPlace((path) => {
    folder = path
  })
  server = new PostgresServer(place, { ...testSettings, ...JSON.parse(process.argv[2] ?? '{}') })
  await server.create()
  answer({ url: server.url })
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, argument] = line.split(' ')
    if (command === 'reap') group = Number(argument)
    if (command === 'restart') {
      await server.stop(argument === 'immediate' ? 'SIGQUIT' : 'SIGINT')
      await server.start()
      answer({ url: server.url })
    }
  }
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error)
  answer({ error: `${reason}\n${server?.logTail() ?? ''}`.trimEnd() })
  process.exitCode = 1
}

// 0: no group to kill. Never signal group 0 or 1: they mean this process and all others.
if (group > 1) {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {} // it has ended by itself
}
await server?.stop('SIGINT')

function answer(line: { url: string } | { error: string }): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
