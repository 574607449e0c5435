#!/usr/bin/env node
// The repository runs the TypeScript sources, the published package the compiled JavaScript.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

if (!existsSync(new URL('../src/main.ts', import.meta.url))) {
  await import('../dist/main.js')
} else if (process.features.typescript) {
  await import('../src/main.ts')
} else {
  // This Node cannot run TypeScript, so the Node from node_modules runs it: the program itself, without a shell.
  const name = process.platform === 'win32' ? 'node.exe' : 'node'
  const program = fileURLToPath(new URL(`../../node_modules/node/bin/${name}`, import.meta.url))
  const node = spawn(program, process.argv.slice(1), { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => node.kill(signal))
  node.on('error', () => {
    console.error(`Error: Node ${process.version} cannot run TypeScript. Run npm ci, or use Node 24 or newer.`)
    process.exitCode = 1
  })
  node.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal]
  })
}
