import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'

/** What the stand-in does instead of answering: an error; nothing, before or after it has done what was asked. */
type Fault = { status: number; code?: string } | 'cut before' | 'cut after'

interface Thing {
  id: string
  object: string
  created: number
  livemode: boolean
  [field: string]: unknown
}

export interface StripeEvent {
  id: string
  object: 'event'
  type: string
  created: number
  livemode: boolean
  data: { object: Thing; previous_attributes?: object }
  [field: string]: unknown
}

type Params = { [name: string]: string | Params }

/** Stripe's test cards, by number: what a charge of each comes to. */
const CARDS = {
  '4242424242424242': null,
  '5555555555554444': null,
  '4000000000000341': 'generic_decline',
  '4000000000009995': 'insufficient_funds',
  '4000000000009987': 'lost_card',
  '4000002760003184': 'authentication_required',
} as const
export type CardNumber = keyof typeof CARDS

/** The parameters that a request may have. Stripe refuses others. */
const PARAMETERS: Record<string, string[]> = {
  'POST customers': ['metadata'],
  'POST checkout/sessions': [
    ...['mode', 'customer', 'client_reference_id', 'metadata', 'payment_intent_data', 'line_items', 'success_url'],
    ...['cancel_url', 'automatic_tax', 'customer_update', 'payment_method_types'],
  ],
  'POST payment_intents': [
    ...['amount', 'currency', 'customer', 'description', 'payment_method', 'payment_method_types', 'off_session'],
    ...['confirm', 'metadata'],
  ],
  'POST cancel': [],
  'GET checkout/sessions': ['expand'],
  'GET payment_intents': ['expand', 'customer', 'created', 'limit', 'starting_after'],
  'GET refunds': ['payment_intent', 'limit', 'starting_after'],
  'GET disputes': ['payment_intent', 'limit', 'starting_after'],
  'GET payment_methods': ['customer', 'type', 'limit'],
}

class StripeFault extends Error {
  readonly status: number
  readonly fields: object
  constructor(status: number, fields: { type: string; message: string; [field: string]: unknown }) {
    super(fields.message)
    this.status = status
    this.fields = fields
  }
}
const invalid = (message: string, more: object = {}) =>
  new StripeFault(400, { type: 'invalid_request_error', message, ...more })

/**
 * A stand-in for Stripe on a port of its own, written from Stripe's public API reference: form bodies, idempotency keys, lists in
 * pages, declines by card, hosted payment pages, refunds, disputes, and signed events. Events are kept in `events`, with their contents as they
 * were then, and delivered when the test says so; with `webhook`, at once.
 */
export async function startStripe(t: Test, { webhook }: { webhook?: string } = {}) {
  const secretKey = `sk_test_${randomBytes(12).toString('hex')}`
  const webhookSecret = `whsec_${randomBytes(12).toString('hex')}`
  const things = new Map<string, Thing>()
  const answers = new Map<string, { request: string; status: number; body: string }>()
  const faults: { where: RegExp; fault: Fault; left: number }[] = []
  const calls: string[] = []
  const events: StripeEvent[] = []
  const deliveries: Promise<unknown>[] = []
  let clock = Math.floor(Date.now() / 1000)

  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.destroy(error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  t.teardown(async () => {
    await Promise.all(deliveries)
    server.closeAllConnections()
    server.close()
  })

  // ---- Things

  function make(object: string, prefix: string, fields: object): Thing {
    const id = `${prefix}_${randomBytes(8).toString('hex')}`
    // Seconds are too coarse to order what one test does.
    const thing = { id, object, created: clock++, livemode: false, ...fields }
    things.set(id, thing)
    return thing
  }
  function thing(id: unknown, object: string): Thing {
    const found = things.get(String(id))
    if (found?.object === object) return found
    throw invalid(`No such ${object}: '${id}'`, { code: 'resource_missing' })
  }
  const all = (object: string) => [...things.values()].filter((each) => each.object === object).reverse()

  function happens(type: string, object: Thing, previous_attributes?: object): StripeEvent {
    const event: StripeEvent = {
      ...{ id: `evt_${randomBytes(8).toString('hex')}`, object: 'event', type, created: clock++, livemode: false },
      ...{ api_version: '2026-10-28.endive', pending_webhooks: 1, request: { id: null, idempotency_key: null } },
      data: structuredClone({ object, ...(previous_attributes && { previous_attributes }) }),
    }
    events.push(event)
    if (webhook) deliveries.push(deliver(webhook, event))
    return event
  }

  async function deliver(target: string, event: StripeEvent): Promise<void> {
    const body = JSON.stringify(event)
    const headers = { 'content-type': 'application/json', 'stripe-signature': signature(body) }
    await fetch(target, { method: 'POST', body, headers }).catch(() => {})
  }

  /** The header of an event: an HMAC over the time and the body. */
  function signature(body: string, { secret = webhookSecret, at = Math.floor(Date.now() / 1000) } = {}): string {
    return `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`
  }

  // ---- What people and banks do

  function newCard(number: CardNumber, customer: unknown): Thing {
    const brand = number.startsWith('5') ? 'mastercard' : 'visa'
    return make('payment_method', 'pm', { type: 'card', card: { brand, last4: number.slice(-4) }, customer, number })
  }

  /** The money of a payment has come. */
  function succeed(intent: Thing): void {
    const charge = make('charge', 'ch', {
      ...{ amount: intent.amount, amount_refunded: 0, currency: intent.currency, disputed: false, status: 'succeeded' },
      ...{ payment_intent: intent.id, receipt_url: `${url}/receipts/${intent.id}`, metadata: intent.metadata },
    })
    Object.assign(intent, { status: 'succeeded', amount_received: intent.amount, latest_charge: charge.id })
    happens('payment_intent.succeeded', intent)
    happens('charge.succeeded', charge)
  }

  function decline(intent: Thing, decline_code: string): void {
    const code = decline_code === 'authentication_required' ? decline_code : 'card_declined'
    const last_payment_error = { type: 'card_error', code, decline_code, message: 'Your card was declined.' }
    Object.assign(intent, { status: 'requires_payment_method', last_payment_error })
    happens('payment_intent.payment_failed', intent)
  }

  function intentOf(session: Thing): Thing {
    if (session.payment_intent) return thing(session.payment_intent, 'payment_intent')
    const { metadata = {}, description = null } = (session.payment_intent_data ?? {}) as Params
    const intent = newIntent({ amount: session.amount_total, currency: session.currency, metadata, description })
    Object.assign(intent, { customer: session.customer })
    session.payment_intent = intent.id
    return intent
  }

  const newIntent = (fields: object) =>
    make('payment_intent', 'pi', {
      ...{
        amount_received: 0,
        latest_charge: null,
        last_payment_error: null,
        cancellation_reason: null,
        customer: null,
      },
      ...{ status: 'requires_payment_method', metadata: {} },
      ...fields,
    })

  /** Somebody pays on the hosted page: by card at once, or by a debit that takes days. */
  function pay(sessionId: string, how: CardNumber | 'debit' = '4242424242424242'): Thing {
    const session = thing(sessionId, 'checkout.session')
    if (session.status !== 'open') throw new Error('The page is not open any more.')
    const intent = intentOf(session)
    const refused = how === 'debit' ? null : CARDS[how]
    // The page stays open: the person may try another card.
    if (refused) {
      decline(intent, refused)
      return session
    }
    session.status = 'complete'
    if (how === 'debit') intent.status = 'processing'
    else {
      session.payment_status = 'paid'
      succeed(intent)
    }
    happens('checkout.session.completed', session)
    return session
  }

  /** The bank has decided about a debit. */
  function decide(sessionId: string, good: boolean): void {
    const session = thing(sessionId, 'checkout.session')
    const intent = intentOf(session)
    if (good) {
      session.payment_status = 'paid'
      succeed(intent)
    } else decline(intent, 'insufficient_funds')
    happens(`checkout.session.async_payment_${good ? 'succeeded' : 'failed'}`, session)
  }

  function expire(sessionId: string): void {
    const session = thing(sessionId, 'checkout.session')
    session.status = 'expired'
    happens('checkout.session.expired', session)
  }

  /** Somebody saves a card on the hosted page, for later. */
  function saveCard(sessionId: string, number: CardNumber = '4242424242424242'): Thing {
    const session = thing(sessionId, 'checkout.session')
    const card = newCard(number, session.customer)
    const setup = make('setup_intent', 'seti', {
      payment_method: card.id,
      customer: session.customer,
      status: 'succeeded',
    })
    Object.assign(session, { status: 'complete', setup_intent: setup.id })
    happens('payment_method.attached', card)
    happens('checkout.session.completed', session)
    return card
  }

  function removeCard(id: string): void {
    const card = thing(id, 'payment_method')
    const { customer } = card
    card.customer = null
    happens('payment_method.detached', card, { customer })
  }

  const chargeOf = (payment: string) => thing(thing(payment, 'payment_intent').latest_charge, 'charge')

  function refund(payment: string, amount: number): Thing {
    const charge = chargeOf(payment)
    const made = make('refund', 're', {
      amount,
      payment_intent: payment,
      charge: charge.id,
      status: 'succeeded',
      metadata: {},
    })
    charge.amount_refunded = Number(charge.amount_refunded) + amount
    happens('refund.created', made)
    happens('charge.refunded', charge)
    return made
  }

  function failRefund(id: string): void {
    const made = thing(id, 'refund')
    const charge = thing(made.charge, 'charge')
    made.status = 'failed'
    charge.amount_refunded = Number(charge.amount_refunded) - Number(made.amount)
    happens('refund.failed', made)
  }

  /** A bank asks for its money back; `warning_needs_response` is a question, and no money moves. */
  function dispute(payment: string, status = 'needs_response', amount = Number(chargeOf(payment).amount)): Thing {
    const charge = chargeOf(payment)
    charge.disputed = true
    const made = make('dispute', 'dp', { amount, payment_intent: payment, charge: charge.id, status, metadata: {} })
    happens('charge.dispute.created', made)
    return made
  }

  function closeDispute(id: string, status: 'won' | 'lost' | 'warning_closed'): void {
    const made = thing(id, 'dispute')
    made.status = status
    happens('charge.dispute.closed', made)
  }

  // ---- The API

  /** What a request asks for. */
  function api(method: string, path: string, params: Params): object {
    const [kind = '', id = '', act = ''] = path.startsWith('checkout/sessions')
      ? ['checkout/sessions', ...path.split('/').slice(2)]
      : path.split('/')
    const name = `${method} ${act || kind}`
    for (const param of Object.keys(params)) {
      if (!(id && method === 'GET' ? ['expand'] : PARAMETERS[name])?.includes(param))
        throw invalid(`Received unknown parameter: ${param}`, { code: 'parameter_unknown', param })
    }
    const expanded = (found: Thing) => expand(found, Object.values(params.expand ?? {}).map(String))
    switch (name) {
      case 'POST customers':
        return make('customer', 'cus', { metadata: params.metadata ?? {} })
      case 'GET customers':
        return thing(id, 'customer')
      case 'GET prices':
        return thing(id, 'price')
      case 'POST checkout/sessions':
        return newSession(params)
      case 'GET checkout/sessions':
        return expanded(thing(id, 'checkout.session'))
      case 'POST payment_intents':
        return chargeNow(params)
      case 'POST cancel':
        return Object.assign(thing(id, 'payment_intent'), { status: 'canceled' })
      case 'GET payment_intents':
        return id ? expanded(thing(id, 'payment_intent')) : list('payment_intent', params)
      case 'GET refunds':
        return list('refund', params)
      case 'GET disputes':
        return list('dispute', params)
      case 'GET payment_methods':
        return list('payment_method', params)
    }
    throw new StripeFault(404, { type: 'invalid_request_error', message: `Unrecognized request URL (${name})` })
  }

  function newSession(params: Params): Thing {
    const { mode, customer, line_items, metadata = {}, payment_intent_data, success_url, cancel_url } = params
    if (customer !== undefined) thing(customer, 'customer')
    const made = make('checkout.session', 'cs_test', {
      ...{ mode, metadata, customer: customer ?? null, success_url, cancel_url, status: 'open' },
      ...{
        payment_intent: null,
        setup_intent: null,
        payment_intent_data,
        client_reference_id: params.client_reference_id,
      },
      payment_status: mode === 'setup' ? 'no_payment_required' : 'unpaid',
    })
    if (mode === 'payment') {
      const [item] = Object.values(line_items ?? {}) as Params[]
      const data = item?.price ? thing(item.price, 'price') : (item?.price_data as Params | undefined)
      if (!data || !(data.product_data || item?.price)) throw invalid('Missing required param: line_items')
      Object.assign(made, { amount_total: Number(data.unit_amount), currency: data.currency })
    }
    return Object.assign(made, { url: `${url}/c/pay/${made.id}` })
  }

  /** An off-session charge. */
  function chargeNow(params: Params): Thing {
    const { amount, currency, customer, payment_method, metadata = {}, confirm, off_session, description } = params
    const card = thing(payment_method, 'payment_method')
    thing(customer, 'customer')
    if (confirm !== 'true' || off_session !== 'true') throw invalid('The stand-in charges off session only.')
    if (card.customer !== customer) throw invalid('The payment method is not attached to this customer.')
    const intent = newIntent({ amount: Number(amount), currency, customer, payment_method, metadata, description })
    const refused = CARDS[card.number as CardNumber]
    if (refused) {
      decline(intent, refused)
      throw new StripeFault(402, {
        ...(intent.last_payment_error as { type: string; message: string }),
        payment_intent: intent,
      })
    }
    succeed(intent)
    return intent
  }

  /** The newest first, in pages. */
  function list(object: string, params: Params): object {
    const { limit = '10', starting_after, payment_intent, customer, created } = params
    const since = Number((created as Params | undefined)?.gte ?? 0)
    const found = all(object).filter(
      (each) =>
        (payment_intent === undefined || each.payment_intent === payment_intent) &&
        (customer === undefined || each.customer === customer) &&
        each.created >= since,
    )
    const from = starting_after ? found.findIndex(({ id }) => id === starting_after) + 1 : 0
    // Small pages, so that clients have to turn them.
    const size = Math.min(Number(limit), 2)
    const data = found.slice(from, from + size)
    return { object: 'list', url: `/v1/${object}s`, has_more: found.length > from + size, data }
  }

  function expand(found: Thing, paths: string[]): Thing {
    const copy = { ...found }
    for (const path of paths) {
      const [field = '', ...rest] = path.split('.')
      const inner = things.get(String(copy[field]))
      if (inner) copy[field] = expand(inner, rest.length ? [rest.join('.')] : [])
    }
    return copy
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '', url)
    const method = request.method ?? ''
    const body = await text(request)
    if (pathname.startsWith('/c/pay/')) return hostedPage(method, pathname.slice('/c/pay/'.length), body, response)
    const call = `${method} ${pathname}`
    calls.push(call)
    const active = faults.find(({ where, left }) => left > 0 && where.test(call))
    if (active) active.left--
    const fault = active?.fault
    if (fault === 'cut before') return void request.socket.destroy()
    const { status, body: said, replayed } = typeof fault === 'object' ? failing(fault) : reply()
    if (fault === 'cut after') return void request.socket.destroy()
    const headers = { 'request-id': `req_${calls.length}`, ...(replayed && { 'idempotent-replayed': 'true' }) }
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(said)

    function reply(): { status: number; body: string; replayed?: boolean } {
      if (request.headers.authorization !== `Bearer ${secretKey}`)
        return failure(new StripeFault(401, { type: 'invalid_request_error', message: 'Invalid API Key provided' }))
      const key = String(request.headers['idempotency-key'] ?? '')
      const earlier = method === 'POST' && key ? answers.get(key) : undefined
      if (earlier && earlier.request !== `${call} ${body}`)
        return failure(
          new StripeFault(400, {
            type: 'idempotency_error',
            message: 'Keys can only be used with the same parameters.',
          }),
        )
      if (earlier) return { ...earlier, replayed: true }
      const params = nested(method === 'GET' ? searchParams : new URLSearchParams(body))
      let result: { status: number; body: string }
      try {
        result = { status: 200, body: JSON.stringify(api(method, pathname.replace('/v1/', ''), params)) }
      } catch (error) {
        if (!(error instanceof StripeFault)) throw error
        result = failure(error)
      }
      if (method === 'POST' && key) answers.set(key, { request: `${call} ${body}`, ...result })
      return result
    }
  }

  /** A page where a browser can pay, or save a card. */
  function hostedPage(method: string, id: string, body: string, response: ServerResponse): void {
    const session = thing(id, 'checkout.session')
    if (method === 'POST') {
      const number = (new URLSearchParams(body).get('card') ?? '') as CardNumber
      if (session.mode === 'setup') saveCard(id, number)
      else pay(id, number)
      const done = session.status === 'complete'
      return void response.writeHead(303, { location: done ? String(session.success_url) : `/c/pay/${id}` }).end()
    }
    response.writeHead(200, { 'content-type': 'text/html' }).end(
      `<!doctype html><title>Checkout</title><h1>Pay ${session.amount_total} ${session.currency}</h1>
      <form method="post"><input name="card" aria-label="Card number"><button>Pay</button></form>
      <a href="${String(session.cancel_url).replaceAll('&', '&amp;')}">Back</a>`,
    )
  }

  return {
    url,
    /** Makes the service ask here */
    env: { STRIPE_SECRET_KEY: secretKey, STRIPE_WEBHOOK_SECRET: webhookSecret, STRIPE_API_URL: url },
    calls,
    count: (where: RegExp): number => calls.filter((call) => where.test(call)).length,
    events,
    signature,
    happens,
    thing,
    all,
    /** A price as the dashboard makes it */
    price: (fields: object) => make('price', 'price', { type: 'one_time', currency: 'usd', ...fields }),
    ...{ pay, decide, expire, saveCard, removeCard, refund, failRefund, dispute, closeDispute },
    /** Calls that match fail, so many times */
    fail(where: RegExp, fault: Fault, times = Number.POSITIVE_INFINITY): void {
      faults.push({ where, fault, left: times })
    },
    heal(): void {
      faults.length = 0
    },
    /** All deliveries to `webhook` so far have ended */
    delivered: async (): Promise<void> => void (await Promise.all(deliveries)),
  }
}

const failure = ({ status, fields }: StripeFault) => ({ status, body: JSON.stringify({ error: fields }) })
const failing = ({ status, code }: { status: number; code?: string }) => ({
  ...failure(new StripeFault(status, { type: 'api_error', message: 'You asked for this.', ...(code && { code }) })),
  replayed: false,
})

/** `a[b][0]=c` as objects in objects. */
function nested(search: URLSearchParams): Params {
  const params: Params = {}
  for (const [name, value] of search) {
    const path = name.replaceAll(']', '').split('[')
    const last = path.pop() ?? ''
    let place = params
    for (const step of path) {
      place[step] ??= {}
      place = place[step] as Params
    }
    place[last] = value
  }
  return params
}
