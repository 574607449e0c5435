import { once } from 'node:events'
import { FOCUS_URL, registerApp } from '../setup.ts'
import { serve } from './server.ts'

const app = 'haiku'
const mcpUrl = `http://localhost:${process.env.PORT ?? 4003}/mcp`

// Each start creates a new key; the previous one works for another ten minutes. In production the key is a secret in the server's environment.
const { settle_key } = await registerApp({
  slug: app,
  name: 'Haiku',
  starter_credits: 20,
  resources: [mcpUrl],
  settle_key: 'rotate',
})
if (!settle_key) throw new Error('The service returned no settle key')
await once(await serve({ focusUrl: FOCUS_URL, app, appKey: settle_key, mcpUrl }), 'listening')
console.log(`The MCP server is at ${mcpUrl}`)
