#!/usr/bin/env node
// In the repository the sources run as they are, in the package what they were compiled to.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

if (!existsSync(new URL('../src/main.ts', import.meta.url))) {
  await import('../dist/main.js')
} else if (process.features.typescript) {
  await import('../src/main.ts')
} else {
  // This Node is too old to strip types; the repository's own is not.
  const bin = fileURLToPath(new URL('../../node_modules/.bin/', import.meta.url))
  const windows = process.platform === 'win32'
  const node = spawn(windows ? `"${bin}node.cmd"` : `${bin}node`, process.argv.slice(1), {
    stdio: 'inherit',
    shell: windows,
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => node.kill(signal))
  node.on('error', () => {
    console.error(`Node ${process.version} does not run TypeScript. Run npm ci first, or take Node 24 or newer.`)
    process.exitCode = 1
  })
  node.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal]
  })
}
