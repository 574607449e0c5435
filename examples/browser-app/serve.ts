import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { build } from 'esbuild'
import { FOCUS_URL, registerApp } from '../setup.ts'

const PORT = Number(process.env.PORT ?? 4001)
const page = (file: string) => join(import.meta.dirname, 'page', file)

// To a browser, this server is two sites. The first is the same site as the Focus API at localhost:3000, so it shares its cookies.
const origins = [`http://localhost:${PORT}`, `http://127.0.0.1:${PORT}`]
const redirect_uris = origins.map((origin) => `${origin}/`)
await registerApp({ slug: 'film', name: 'Film', starter_credits: 20, origins, redirect_uris })

const { outputFiles } = await build({
  entryPoints: [page('app.ts')],
  bundle: true,
  format: 'esm',
  write: false,
  define: { FOCUS_URL: JSON.stringify(FOCUS_URL) },
})
const files: Record<string, { type: string; body: string | Uint8Array | undefined }> = {
  '/': { type: 'text/html; charset=utf-8', body: readFileSync(page('index.html')) },
  '/style.css': { type: 'text/css', body: readFileSync(page('style.css')) },
  '/app.js': { type: 'text/javascript', body: outputFiles[0]?.contents },
}

createServer((request, response) => {
  const file = files[new URL(request.url ?? '/', 'http://app').pathname]
  response.writeHead(file ? 200 : 404, { 'content-type': file?.type ?? 'text/plain', 'cache-control': 'no-store' })
  response.end(file?.body ?? 'There is nothing here.')
}).listen(PORT, '127.0.0.1', () => {
  console.log(`Same site as ${FOCUS_URL}, signed in by its cookie: ${origins[0]}`)
  console.log(`Another site, signed in by OAuth:                    ${origins[1]}`)
})
