/**
 * In the repository the package is its sources, published it is dist/. Before packing, this swaps `exports` and `publishConfig.exports` in
 * package.json; with `--restore` it swaps them back.
 */
import { readFileSync, writeFileSync } from 'node:fs'

const file = new URL('package.json', import.meta.url)
const manifest = JSON.parse(readFileSync(file, 'utf8'))
const { exports: current, publishConfig } = manifest
const isPublished = typeof current['.'] === 'object'
if (isPublished === process.argv.includes('--restore')) {
  manifest.exports = publishConfig.exports
  publishConfig.exports = current
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`)
}
