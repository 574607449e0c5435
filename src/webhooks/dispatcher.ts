import { randomUUID } from 'node:crypto'
import type { Db } from '../db/tables.ts'
import { deliver, Stopped } from './delivery.ts'
import {
  type Candidate,
  type Claimed,
  candidates,
  claimMessage,
  dueMessages,
  dueTests,
  type MessageKey,
  noteFailure,
  noteRecovery,
  pauseGone,
  record,
  release,
  takeLease,
  unclaim,
} from './queue.ts'

/** Messages of an endpoint that are read at once. */
const PAGE = 20
/** A turn begins no delivery after this time, in ms: its lease must outlast its last delivery. */
const TURN_MS = 10_000
/** Deliveries in flight to one endpoint. While the endpoint fails it is one. */
const PER_ENDPOINT = 2
/** Endpoints that one replica delivers to at the same time, and how many of them may be failing. */
const TURNS = 100
const FAILING_TURNS = 50
/** Test messages that one look sends. */
const TESTS = 20
/** Delay between writing a message and starting a turn for it, in ms: until then it is committed, and later ones join it. */
const WAKE_MS = 50

/** Attempts to deliver a message are 5, 20, 80, 320 s … apart, at most 6 hours. */
const FIRST_DELAY_SECONDS = 5
const MAX_DELAY_SECONDS = 6 * 3600
/** From the second consecutive failure on, an endpoint is not tried for 5, 10, 20 s …, at most 15 minutes. */
const MAX_REST_SECONDS = 900

interface DispatcherOptions {
  db: Db
  /** Deliver only to https URLs with public addresses */
  publicOnly: boolean
  /** Called once per change of an endpoint's state */
  onChange?: (endpoint: Pick<Candidate, 'id' | 'app_slug'>, change: Change) => void
  onAttempt?: (outcome: 'delivered' | 'failed') => void
  /** Called when the database failed during a turn, which ends it */
  onFailure?: (error: Error) => void
}

export type Change = { state: 'failing'; error: string } | { state: 'delivering' } | { state: 'gone' }

/**
 * Delivers messages. Every replica runs one. A replica leases an endpoint for a turn, so at most two deliveries to an endpoint are in
 * flight, however many replicas there are. Turns of different endpoints run concurrently and do not wait for each other.
 */
export function createDispatcher({ db, publicOnly, onChange, onAttempt, onFailure }: DispatcherOptions) {
  const replica = randomUUID()
  const stopping = new AbortController()
  const turns = new Map<string, { failing: boolean; ended: Promise<void> }>()

  /** The endpoints as of the last look */
  let all = new Map<string, Candidate>()
  const woken = new Set<string>()

  /** Starts a turn for every endpoint that has due messages and may be tried now. Does not wait for deliveries. */
  async function look(): Promise<void> {
    all = new Map((await candidates(db, {})).map((endpoint) => [endpoint.id, endpoint]))
    for (const { endpoint_id, ...message } of await dueTests(db, { limit: TESTS })) {
      const endpoint = all.get(endpoint_id)
      if (endpoint && hasPlace(endpoint)) begin(endpoint, [message])
    }
    for (const endpoint of all.values()) {
      if (stopping.signal.aborted) return
      if (!endpoint.ready || !hasPlace(endpoint)) continue
      const due = await dueMessages(db, { endpoint_id: endpoint.id, limit: 1 })
      if (due.length > 0) begin(endpoint)
    }
  }

  /** Starts turns for endpoints that messages were just written for. The next look covers those that it cannot start. */
  function wake(endpoint_ids: string[]): void {
    if (woken.size === 0) setTimeout(beginWoken, WAKE_MS).unref()
    for (const id of endpoint_ids) woken.add(id)
  }

  function beginWoken(): void {
    for (const id of woken) {
      const endpoint = all.get(id)
      // What was read of the lease may be a second old. `takeLease` decides.
      if (endpoint?.ready && hasPlace({ ...endpoint, leased: false })) begin(endpoint)
    }
    woken.clear()
  }

  function hasPlace({ id, failures, leased }: Candidate): boolean {
    if (leased || turns.has(id) || turns.size >= TURNS || stopping.signal.aborted) return false
    // Half of the places are kept for endpoints that answer.
    return failures === 0 || [...turns.values()].filter(({ failing }) => failing).length < FAILING_TURNS
  }

  /** @param tests the messages to send; absent: everything that is due */
  function begin(endpoint: Candidate, tests?: MessageKey[]): void {
    const run = async () => {
      const isUnfinished = await turn(endpoint, tests).catch((error) => onFailure?.(error))
      turns.delete(endpoint.id)
      if (isUnfinished) wake([endpoint.id])
    }
    turns.set(endpoint.id, { failing: endpoint.failures > 0, ended: run() })
  }

  /** @returns whether the turn ended by time, so that messages may be left */
  async function turn(endpoint: Candidate, tests?: MessageKey[]): Promise<boolean> {
    const endpoint_id = endpoint.id
    const [leased] = await takeLease(db, endpoint_id, replica, tests !== undefined)
    if (!leased) return false
    const { signal } = stopping
    const end = performance.now() + TURN_MS
    let { failures } = leased
    let over = false
    let page = tests ?? []
    let reading: Promise<MessageKey[]> | undefined
    /** Consecutive messages that could not be claimed: their endpoint is paused or removed, or they are claimed or deleted */
    let misses = 0
    let noted: Promise<unknown> = Promise.resolve()

    /** Writes changes of the endpoint's state one after the other. */
    function note(write: () => Promise<unknown>): Promise<unknown> {
      noted = noted.then(write)
      return noted
    }

    async function next(): Promise<MessageKey | undefined> {
      if (page.length === 0 && !tests) {
        reading ??= dueMessages(db, { endpoint_id, limit: PAGE })
        page = await reading
        reading = undefined
      }
      return page.shift()
    }

    /** @param first whether it continues while the endpoint fails */
    async function work(first: boolean): Promise<void> {
      while (!over && !signal.aborted && performance.now() < end && (first || failures === 0)) {
        const key = await next()
        if (!key) return
        const message = await claimMessage(db, key)
        misses = message ? 0 : misses + 1
        if (message) await send(message)
        else if (misses > PAGE) over = true
      }
    }

    async function send(message: Claimed): Promise<void> {
      const { id, url, payload } = message
      const attempt = await deliver({ url, secrets: secretsOf(message), id, payload }, publicOnly, signal).catch(
        async (error) => {
          over = true
          if (!(error instanceof Stopped)) throw error
          await unclaim(db, { account_id: message.account_id, id, attempts: message.attempts })
        },
      )
      if (!attempt) return
      const delay = Math.min(FIRST_DELAY_SECONDS * 4 ** (message.attempts - 1), MAX_DELAY_SECONDS)
      await record(db, message, attempt, Math.max(delay, attempt.retry_after))
      onAttempt?.(attempt.error === null ? 'delivered' : 'failed')
      if (attempt.error === null) {
        if (failures > 0) {
          failures = 0
          await note(() => noteRecovery(db, { endpoint_id }))
          onChange?.(endpoint, { state: 'delivering' })
        }
        return
      }
      failures += 1
      const rest = failures === 1 ? 0 : Math.min(FIRST_DELAY_SECONDS * 2 ** (failures - 2), MAX_REST_SECONDS)
      const seconds = Math.max(rest, attempt.retry_after)
      if (seconds > 0) over = true
      const { error } = attempt
      const first = failures === 1
      await note(() => noteFailure(db, { endpoint_id, seconds, error }))
      if (first) onChange?.(endpoint, { state: 'failing', error })
      if (attempt.status === 410) {
        over = true
        const [paused] = await pauseGone(db, { endpoint_id })
        if (paused) onChange?.(endpoint, { state: 'gone' })
      }
    }

    const workers = Array.from({ length: PER_ENDPOINT }, (_, i) =>
      work(i === 0).catch((error) => {
        over = true
        throw error
      }),
    )
    const results = await Promise.allSettled(workers)
    await release(db, { endpoint_id, replica })
    for (const result of results) if (result.status === 'rejected') throw result.reason
    return !over && !signal.aborted && performance.now() >= end
  }

  /** Resolves when no turn is under way. */
  async function idle(): Promise<void> {
    while (turns.size > 0) await Promise.all([...turns.values()].map(({ ended }) => ended))
  }

  /** Aborts deliveries and makes their messages due again. */
  async function stop(): Promise<void> {
    stopping.abort()
    await idle()
  }

  return { look, wake, idle, stop }
}

/** The secrets that sign. After a rotation the previous one signs for 24 hours more. */
function secretsOf({ secret, previous_secret, previous_secret_until }: Claimed): string[] {
  const both = previous_secret && previous_secret_until && previous_secret_until.getTime() > Date.now()
  return both ? [secret, previous_secret] : [secret]
}
