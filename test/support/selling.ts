import { sql } from 'kysely'
import type { Test } from 'tap'
import { type App, earlier, type Person, startOwn } from './start.ts'
import { type StripeEvent, startStripe } from './stripe-stand-in.ts'

export type Stripe = Awaited<ReturnType<typeof startStripe>>

/** Sends an event as Stripe does. */
export async function send(app: App, stripe: Stripe, event: object | string, headers: Record<string, string> = {}) {
  const payload = typeof event === 'string' ? event : JSON.stringify(event)
  const signed = { 'content-type': 'application/json', 'stripe-signature': stripe.signature(payload) }
  return app.inject({ method: 'POST', url: '/api/webhooks/stripe', payload, headers: { ...signed, ...headers } })
}

/** What is sold in tests: 100 credits for $5.00. */
export const PACK = { name: '100 credits', credits: 100, price: 500, currency: 'usd' }

/** The service with a Stripe of its own, and somebody who buys. */
export async function selling(t: Test, env: Record<string, string> = {}, log?: (line: string) => void) {
  const stripe = await startStripe(t)
  const service = await startOwn(t, { ...stripe.env, ...env }, log)
  const { app } = service
  const admin = await service.admin()
  await admin.put('/api/admin/packs/stripe-100', PACK)
  const ada = await service.person()
  return {
    ...service,
    ...{ stripe, ada, them: admin },
    send: (event: object | string, headers = {}) => send(app, stripe, event, headers),
    /** Everything that has happened and was not sent yet */
    sendAll: async (events: StripeEvent[] = stripe.events.splice(0)) => {
      for (const event of events) {
        const reply = await send(app, stripe, event)
        if (reply.statusCode !== 200) throw new Error(`${event.type}: ${reply.body}`)
      }
    },
    buy: (who: Person = ada, more: object = {}) => buy(who, more),
    asleep: (id: string, interval = '11 minutes') => sleeping(app, id, interval),
  }
}

export async function buy(who: Person, more: object = {}) {
  const reply = await who.post('/api/purchases', { pack: 'stripe-100', ...more })
  if (reply.statusCode !== 201) throw new Error(reply.body)
  const { purchase, checkout_url } = reply.json()
  return { id: purchase.id as string, session: checkout_url.split('/').at(-1) as string, checkout_url }
}

/** Lets time pass for a purchase. */
async function sleeping(app: App, id: string, interval: string) {
  const { rows } = await sql<{ id: string }>`update purchases
    set looked_at = ${earlier('looked_at', interval)}, created_at = ${earlier('created_at', interval)}
    where id = ${id} returning id`.execute(app.db)
  if (rows.length !== 1) throw new Error('no such purchase')
}
