import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export type Postgres = {
  /** Of its maintenance database, as superuser. */
  url: string
  /** `fast` closes every connection in good order; `immediate` is a crash, with recovery at the start. */
  restart(mode: 'fast' | 'immediate'): Promise<void>
  /** Kills this process group when this process dies; 0 clears it. */
  reap(processGroup: number): void
  /** Ends the server and removes its files. */
  stop(): Promise<void>
}

/**
 * Starts a temporary Postgres for this process; when the process ends, however it ends, so does the server.
 * It is fast and forgets everything in a power cut, unless `settings` (of postgresql.conf) say otherwise.
 */
export async function startPostgres(options: { settings?: Record<string, string> } = {}): Promise<Postgres> {
  const script = fileURLToPath(new URL('postgres-keeper.ts', import.meta.url))
  const keeper = spawn(process.execPath, [script, JSON.stringify(options.settings ?? {})], {
    // A session of its own: Ctrl-C in a terminal reaches the whole process group of the test run.
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
    // Inside a test, tap has put its own hooks there.
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  const closed = once(keeper, 'close')
  const answers = createInterface({ input: keeper.stdout })[Symbol.asyncIterator]()
  // A killed keeper accepts no commands; the next answer reports it.
  keeper.stdin.on('error', () => {})

  async function ready(): Promise<string> {
    const { value = '{"error":"Its keeper ended."}' } = await answers.next()
    const { url, error } = JSON.parse(value) as { url?: string; error?: string }
    if (url !== undefined) return url
    await stop()
    throw new Error(`No Postgres could be started. ${error}`)
  }

  async function stop(): Promise<void> {
    keeper.stdin.end()
    await closed
  }

  return {
    url: await ready(),
    async restart(mode) {
      keeper.stdin.write(`restart ${mode}\n`)
      await ready()
    },
    reap(processGroup) {
      keeper.stdin.write(`reap ${processGroup}\n`)
    },
    stop,
  }
}
