/** Fails where the core is larger than it may be: bundled, minified and gzipped. */
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const MOST_BYTES = 6 * 1024

const entryPoints = [fileURLToPath(new URL('src/index.ts', import.meta.url))]
const how = { bundle: true, minify: true, format: 'esm', target: 'es2022', write: false } as const
const { outputFiles } = await build({ entryPoints, ...how })
const size = gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length
console.log(`@thefocus/client: ${size} bytes gzipped, of ${MOST_BYTES}`)
if (size > MOST_BYTES) process.exitCode = 1
