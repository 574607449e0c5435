import { createHmac } from 'node:crypto'
import { type App, unique } from './start.ts'

export const webhookSecret = `whsec_${Buffer.from('a secret of the webhook for tests').toString('base64')}`

/** How a delivery differs from a good one. */
export interface DeliveryChanges {
  /** The svix-id: the same for every delivery of one event */
  id?: string
  /** When it was signed, in seconds from now */
  age?: number
  secret?: string
  /** Headers in place of, or beside, the right ones; undefined leaves one out */
  headers?: Record<string, string | undefined>
  /** What is sent in place of what was signed */
  body?: string
}

/** Posts an event as Clerk does (Svix: HMAC-SHA256 over id, time and body). */
export function deliver(app: App, event: { type: string; data: unknown }, changes: DeliveryChanges = {}) {
  const { id = unique('msg'), age = 0, secret = webhookSecret } = changes
  const timestamp = Math.floor(Date.now() / 1000) + age
  const body = JSON.stringify({ object: 'event', timestamp: Date.now(), ...event }, null, 1)
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  const headers: Record<string, string | undefined> = {
    'content-type': 'application/json',
    'svix-id': id,
    'svix-timestamp': String(timestamp),
    'svix-signature': `v1,${signature}`,
    ...changes.headers,
  }
  const given = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  return app.inject({
    method: 'POST',
    url: '/api/webhooks/clerk',
    headers: Object.fromEntries(given),
    payload: changes.body ?? body,
  })
}
