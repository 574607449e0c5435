import type { Schemas } from './api.ts'
import { FocusError, HoldLost, type Settlement, SettleUnknown } from './focus-error.ts'
import { type Answer, type CallOptions, type FocusOptions, pause } from './send.ts'

export interface HoldOptions {
  app: string
  action: string
  /** Credits to hold. Also the cost of the job if the work does not call `job.cost()` */
  estimate: number
  /** `job.cost()` throws for more than this */
  maxCost?: number | undefined
  metadata?: Record<string, unknown> | undefined
  /** How long the hold lasts without a heartbeat: 60 to 604,800. Heartbeats are sent after a third of this time */
  ttlSeconds?: number | undefined
  /** With `appKey`: the account to charge */
  accountId?: string | undefined
  /** With `accountId`: the grant to use, from introspection */
  grantId?: string | undefined
  /** Identifies the work, so that it can be repeated after a crash: continues its job while that runs; afterwards throws JobAlreadyEnded */
  idempotencyKey?: string | undefined
  /** Aborts `job.signal`. The job is settled nevertheless */
  signal?: AbortSignal | undefined
  /** Used instead of the client's own token */
  token?: string | undefined
}

/** A hold that `createJob` made earlier, such as before the work was put into a queue. It is extended; no new one is made. */
export interface HeldBefore extends Pick<HoldOptions, 'maxCost' | 'ttlSeconds' | 'signal' | 'token'> {
  jobId: string
  accountId: string
}

export interface HeldJob {
  readonly id: string
  readonly accountId: string
  /** Tells the work to stop: aborted when the hold is lost (HoldLost), when the process ends, or by the caller's signal */
  readonly signal: AbortSignal
  /** Sets the total cost of the job so far; the last call counts. It is charged even if the work throws afterwards */
  cost(credits: number): void
  /** Adds to the job's metadata when it is settled; new keys win */
  metadata(more: Record<string, unknown>): void
}

/** Calls a method of the client. */
type Call = (
  id: 'createJob' | 'completeJob' | 'failJob' | 'heartbeatJob',
  input: object,
  options?: CallOptions,
) => Promise<Answer>

/** The shortest life of a hold, assumed when the answer has no `Date` header. */
const SHORTEST_MS = 60_000
/** The default time limit of `close`. */
const CLOSE_MS = 5_000
/** The share of that time that the work gets; the rest is for settling. */
const WORK_SHARE = 0.4

/** How long a hold lasts, in ms. Both times are the server's, because the local clock may be wrong. */
function lifeOf(expiresAt: string, headers: Headers): number {
  // `Date` has whole seconds.
  const life = Date.parse(expiresAt) - Date.parse(headers.get('date') ?? '') - 1_000
  return Math.max(SHORTEST_MS, life || 0)
}

/** Whether the job has ended or is not there, so that retrying is pointless. */
const isOver = (error: unknown): error is FocusError =>
  error instanceof FocusError && /^(job_already_ended|job_not_found|account_closed)$/.test(error.code)

/** The methods of one client that hold credits: `withHold`, `resume`, `close`. */
export function holds(call: Call, { sigterm, timeout = 15_000 }: FocusOptions) {
  /** Jobs under way. `abort` tells the work to stop, `end` stops waiting for it */
  const running = new Map<Promise<unknown>, { abort(reason: unknown): void; end(reason: unknown): void }>()
  /** Aborted when the time of `close` is over; ends settlements that are still under way */
  const last = new AbortController()
  let closed: FocusError | undefined

  /**
   * Reserves credits, runs the work, and settles the job: at the cost that the work set; at the estimate if it set none; with a refund if it
   * threw before setting one. The work never runs without a hold.
   * @returns what the work returns, once the job is settled
   * @throws {InsufficientCredits} or another error of `createJob`; the work has not run
   * @throws {SettleUnknown} the work has run, but it is unknown whether the job is settled
   * @throws {JobAlreadyEnded} the job was ended by someone else
   */
  function withHold<T>(wanted: HoldOptions | HeldBefore, work: (job: HeldJob) => T | Promise<T>): Promise<T> {
    const controller = new AbortController()
    const control = { abort: (reason: unknown) => controller.abort(reason), end: (_reason: unknown) => {} }
    const run = hold(wanted, work, controller.signal, control).finally(() => {
      running.delete(run)
      if (running.size === 0) watch(close, false)
    })
    running.set(run, control)
    if (sigterm !== false) watch(close, true)
    return run
  }

  async function hold<T>(
    wanted: HoldOptions | HeldBefore,
    work: (job: HeldJob) => T | Promise<T>,
    signal: AbortSignal,
    control: { abort(reason: unknown): void; end(reason: unknown): void },
  ): Promise<T> {
    const { maxCost = Number.MAX_SAFE_INTEGER, token } = wanted
    if (closed) throw closed
    const check = (credits: number): void => {
      if (!Number.isSafeInteger(credits) || credits < 0 || credits > maxCost)
        throw new FocusError('cost_not_allowed', `A cost is a whole number from 0 to ${maxCost}, not ${credits}`)
    }
    if (!('jobId' in wanted)) check(wanted.estimate)
    wanted.signal?.throwIfAborted()
    const ended = new Promise<never>((_, reject) => {
      control.end = reject
    })
    ended.catch(() => {})
    const { answer, job_id, account_id, estimate, expires_at } = await begin(wanted)
    if (!job_id) throw new FocusError('invalid_answer', 'createJob: the answer names no job')
    let said: number | undefined
    let added: Record<string, unknown> | undefined
    const over = new AbortController()
    const job: HeldJob = {
      id: job_id,
      accountId: account_id,
      signal,
      cost(credits) {
        if (over.signal.aborted) throw new FocusError('job_ended', 'The job is settled: its cost is final')
        check(credits)
        said = credits
      },
      metadata(more) {
        // A copy, so that every attempt to settle sends the same.
        added = { ...added, ...JSON.parse(JSON.stringify(more)) }
      },
    }

    const abort = () => control.abort(wanted.signal?.reason)
    wanted.signal?.addEventListener('abort', abort)
    let value: T | undefined
    let failure: { error: unknown } | undefined
    try {
      if (closed) throw closed
      wanted.signal?.throwIfAborted()
      keepAlive({ id: job_id, account_id }, { ...answer, expires_at }, over.signal, control.abort, token)
      value = await Promise.race([(async () => work(job))(), ended])
    } catch (error) {
      failure = { error }
    }
    over.abort()
    wanted.signal?.removeEventListener('abort', abort)

    const cost = said ?? (failure ? null : Math.min(estimate, maxCost))
    const settlement: Settlement = { jobId: job_id, accountId: account_id, cost, ...(added && { metadata: added }) }
    try {
      await settle(settlement, token)
    } catch (error) {
      if (!isOver(error)) throw new SettleUnknown(settlement, value, error, failure)
      if (!failure) throw error
    }
    if (failure) throw failure.error
    return value as T
  }

  /**
   * Makes the hold, or extends the one that was made earlier. The caller's signal does not abort this request: it may have reserved credits
   * already, and the answer has the id of the job to release.
   */
  async function begin(wanted: HoldOptions | HeldBefore) {
    const { accountId: account_id, ttlSeconds: ttl_seconds, token } = wanted
    const options = { signal: last.signal, token }
    if ('jobId' in wanted) {
      const { jobId: job_id } = wanted
      const answer = await call('heartbeatJob', { id: job_id, account_id, ttl_seconds }, options)
      const { reserved, expires_at } = answer.body.job as Schemas['Job']
      return { answer, job_id, account_id: wanted.accountId, estimate: reserved, expires_at }
    }
    const { app, action, estimate, metadata, grantId: grant_id, idempotencyKey } = wanted
    const body = { app, action, cost_estimate: estimate, metadata, ttl_seconds, account_id, grant_id }
    const answer = await call('createJob', body, { ...options, idempotencyKey })
    return { answer, ...(answer.body as Schemas['JobStartResponse']), estimate }
  }

  /** Sends heartbeats after each third of the hold's life. Calls `lose` when the hold is gone or may be gone. */
  async function keepAlive(
    job: { id: string; account_id: string },
    hold: Answer & { expires_at: string },
    over: AbortSignal,
    lose: (reason: HoldLost) => void,
    token: string | undefined,
  ): Promise<void> {
    let life = lifeOf(hold.expires_at, hold.headers)
    // Counted from when the request was sent, so the hold lasts at least this long.
    let until = hold.sentAt + life
    let next = hold.sentAt + life / 3
    for (;;) {
      await pause(Math.min(next, until) - performance.now(), over)
      const left = until - performance.now()
      if (over.aborted) return
      if (left <= 0) return lose(new HoldLost('hold_lost', `No heartbeat of job ${job.id} got through in time`))
      try {
        const ms = Math.min(left, timeout)
        const answer = await call('heartbeatJob', job, { signal: over, retryFor: 0, timeout: ms, token })
        life = lifeOf(answer.body.job.expires_at, answer.headers)
        until = answer.sentAt + life
        next = answer.sentAt + life / 3
      } catch (error) {
        if (over.aborted) return
        if (isOver(error))
          return lose(
            new HoldLost('hold_lost', `Job ${job.id} has ended: ${error.message}`, { ...error, cause: error }),
          )
        const wait = ((error as FocusError).retryAfter ?? 0) * 1_000
        next = performance.now() + Math.max(wait, (life / 30) * (1 + Math.random()))
      }
    }
  }

  /** Settles a job. Idempotent, so it is retried like other requests. */
  async function settle(settlement: Settlement, token?: string): Promise<void> {
    const { jobId: job_id, accountId: account_id, cost, metadata } = settlement
    const options = { signal: last.signal, token }
    try {
      const { body } =
        cost === null
          ? await call('failJob', { job_id, account_id, metadata }, options)
          : await call('completeJob', { job_id, account_id, actual_cost: cost, metadata }, options)
      if (body.job?.id !== job_id) throw new FocusError('invalid_answer', 'The answer is not about this job')
    } catch (error) {
      const { status, details } = error as Partial<FocusError>
      // Settles without the metadata if the service refuses it: the job must not stay unpaid.
      if (metadata && (status === 400 || status === 413))
        return settle({ jobId: job_id, accountId: account_id, cost }, token)
      // The job has already ended in the same way, with other metadata.
      if (details?.actual_cost === (cost ?? 0) && details.status === (cost === null ? 'failed' : 'completed')) return
      throw error
    }
  }

  /**
   * Settles the job of a SettleUnknown, also in another process.
   * @param token the error's `token`
   * @returns how the job was settled
   * @throws {JobAlreadyEnded} the job has ended with another result
   * @throws {FocusError} invalid_resume_token
   */
  async function resume(token: string): Promise<Settlement> {
    let settlement: Settlement | undefined
    try {
      settlement = JSON.parse(token)
    } catch {} // reported below
    const { jobId, accountId, cost } = settlement ?? {}
    if (typeof jobId !== 'string' || typeof accountId !== 'string' || !(cost === null || Number.isSafeInteger(cost)))
      throw new FocusError('invalid_resume_token', 'This is not the token of a SettleUnknown')
    await settle(settlement as Settlement)
    return settlement as Settlement
  }

  /**
   * Ends this client's jobs, before the process ends: aborts the `signal` of each, waits for the work for two fifths of the time, then settles the
   * others as if their work had thrown. New holds are refused.
   * @param ms time limit; default 5,000
   * @returns the tokens for `resume` of the jobs that could not be settled
   */
  async function close(ms = CLOSE_MS): Promise<string[]> {
    const reason = new FocusError('closed', 'This client is closed, because the process ends')
    closed ??= reason
    const done = new AbortController()
    const all = Promise.allSettled(running.keys())
    all.then(() => done.abort())
    for (const job of running.values()) job.abort(closed)
    await pause(ms * WORK_SHARE, done.signal)
    for (const job of running.values()) job.end(closed)
    await pause(ms * (1 - WORK_SHARE), done.signal)
    last.abort(closed)
    const reasons = (await all).map((end) => end.status === 'rejected' && end.reason)
    return reasons.flatMap((error) => (error instanceof SettleUnknown ? [error.token] : []))
  }

  return { withHold, resume, close }
}

/** The part of `process` that Node, Deno and Bun share. */
interface Process {
  pid: number
  on(signal: string, listener: () => void): void
  off(signal: string, listener: () => void): void
  listenerCount(signal: string): number
  kill(pid: number, signal: string): void
}
const { process } = globalThis as { process?: Process }

/** The `close` methods of clients with jobs under way. They share one listener, because Node warns about many. */
const busy = new Set<() => Promise<unknown>>()

function watch(close: () => Promise<unknown>, isBusy: boolean): void {
  const before = busy.size
  if (isBusy) busy.add(close)
  else busy.delete(close)
  if (!before && busy.size) process?.on?.('SIGTERM', onSigterm)
  if (before && !busy.size) process?.off?.('SIGTERM', onSigterm)
}

async function onSigterm(): Promise<void> {
  const ended = Promise.all([...busy].map((close) => close()))
  process?.off('SIGTERM', onSigterm)
  await ended
  // Without this listener the signal would have ended the process, so send it again. If the application has a listener of its own, that one
  // decides. Listeners of the package signal-exit, a dependency of many tools, do not count: they expect the signal to end the process.
  const { count = 0 } =
    (globalThis as unknown as Record<symbol, { count?: number }>)[Symbol.for('signal-exit emitter')] ?? {}
  if (process && process.listenerCount('SIGTERM') <= count) process.kill(process.pid, 'SIGTERM')
}
