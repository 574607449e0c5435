import type { Schemas } from './api.ts'
import { FocusError, HoldLost, type Settlement, SettleUnknown } from './focus-error.ts'
import { type Answer, type CallOptions, type FocusOptions, pause } from './send.ts'

export interface HoldOptions {
  app: string
  action: string
  /** Credits to hold. Also what the job costs where the work says nothing */
  estimate: number
  /** `job.cost()` refuses more than this, and throws */
  maxCost?: number | undefined
  metadata?: Record<string, unknown> | undefined
  /** How long the hold lasts without a heartbeat: 60 to 604,800. Heartbeats are sent at a third of it */
  ttlSeconds?: number | undefined
  /** With `appKey`: whose credits */
  accountId?: string | undefined
  /** With `accountId`: by which grant of the person, as introspection said */
  grantId?: string | undefined
  /** Names the work, so that it can be begun again after a crash: while its job runs, the same job; once that has ended, JobAlreadyEnded */
  idempotencyKey?: string | undefined
  /** Aborts `job.signal`. The job is settled all the same */
  signal?: AbortSignal | undefined
  /** Instead of the client's own token */
  token?: string | undefined
}

/** A hold that `createJob` made before, such as where the work was ordered; a queue keeps its two ids. It is extended instead of making one. */
export interface HeldBefore extends Pick<HoldOptions, 'maxCost' | 'ttlSeconds' | 'signal' | 'token'> {
  jobId: string
  accountId: string
}

export interface HeldJob {
  readonly id: string
  readonly accountId: string
  /** Aborted when the hold is lost (HoldLost), when the process ends, and by the caller's signal: stop the work */
  readonly signal: AbortSignal
  /** Says what the job costs up to now, in all. The last call counts. What was said is charged, also when the work throws afterwards */
  cost(credits: number): void
  /** Adds to the job's metadata when it is settled; new keys win */
  metadata(more: Record<string, unknown>): void
}

/** How the methods of a client are called from here. */
type Call = (
  id: 'createJob' | 'completeJob' | 'failJob' | 'heartbeatJob',
  input: object,
  options?: CallOptions,
) => Promise<Answer>

/** The shortest life of a hold, which is assumed where the answer does not show the server's clock. */
const SHORTEST_MS = 60_000
/** How long open jobs may take to end when the process does. */
const CLOSE_MS = 5_000
/** The share of it for the work itself; the rest is for settling. */
const WORK_SHARE = 0.4

/** How long a hold lasts, in ms. The clock here may be wrong, so both times are the server's. */
function lifeOf(expiresAt: string, headers: Headers): number {
  // The header has whole seconds.
  const life = Date.parse(expiresAt) - Date.parse(headers.get('date') ?? '') - 1_000
  return Math.max(SHORTEST_MS, life || 0)
}

/** The job is over, whoever asks: another try changes nothing. */
const isOver = (error: unknown): error is FocusError =>
  error instanceof FocusError && /^(job_already_ended|job_not_found|account_closed)$/.test(error.code)

/** Holds of one client: `withHold`, `resume`, `close`. */
export function holds(call: Call, { sigterm, timeout = 15_000 }: FocusOptions) {
  /** Jobs under way, with what ends them early */
  const running = new Map<Promise<unknown>, { abort(reason: unknown): void; end(reason: unknown): void }>()
  /** Aborted when the time of `close` is over; ends settlements that are still under way */
  const last = new AbortController()
  let closed: FocusError | undefined

  /**
   * Reserves credits, runs the work, and settles: at the cost that the work says, at the estimate where it says none, and with a refund
   * where it throws before saying one. The work never runs without a hold.
   * @returns what the work returns, once it is paid
   * @throws {InsufficientCredits} or what else `createJob` is refused with; the work has not run
   * @throws {SettleUnknown} the work has run, and the service could not be told
   * @throws {JobAlreadyEnded} somebody else ended the job
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
        // Copied, so that every try of the settlement sends the same.
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
   * Makes the hold, or extends the one that was made before. The caller's signal does not end this request: it may have reserved already, and
   * its answer says what to release.
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

  /** Sends heartbeats at a third of the hold's life. `lose` is called where the hold is gone, or may be. */
  async function keepAlive(
    job: { id: string; account_id: string },
    hold: Answer & { expires_at: string },
    over: AbortSignal,
    lose: (reason: HoldLost) => void,
    token: string | undefined,
  ): Promise<void> {
    let life = lifeOf(hold.expires_at, hold.headers)
    // Counted from before the request left, so the hold lasts at least until then.
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

  /** Ends a job. Repeating it with the same values changes nothing, so it is tried again as any request. */
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
      // The job must not stay unpaid because its metadata is refused.
      if (metadata && (status === 400 || status === 413))
        return settle({ jobId: job_id, accountId: account_id, cost }, token)
      // It has ended like this already, with other metadata.
      if (details?.actual_cost === (cost ?? 0) && details.status === (cost === null ? 'failed' : 'completed')) return
      throw error
    }
  }

  /**
   * Settles what a SettleUnknown left open, also in another process.
   * @returns what was settled
   * @throws {JobAlreadyEnded} the job has ended otherwise
   */
  async function resume(token: string): Promise<Settlement> {
    let settlement: Settlement | undefined
    try {
      settlement = JSON.parse(token)
    } catch {} // said below
    const { jobId, accountId, cost } = settlement ?? {}
    if (typeof jobId !== 'string' || typeof accountId !== 'string' || !(cost === null || Number.isSafeInteger(cost)))
      throw new FocusError('invalid_resume_token', 'This is not the token of a SettleUnknown')
    await settle(settlement as Settlement)
    return settlement as Settlement
  }

  /**
   * Ends this client's jobs before the process does: aborts `job.signal` of each, gives the work two fifths of the time, settles what has not
   * ended as if it had thrown, and refuses new holds.
   * @param ms how long it may take
   * @returns tokens for `resume` of what could not be settled
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

/** What Node, Deno and Bun have in common of `process`. */
interface Process {
  pid: number
  on(signal: string, listener: () => void): void
  off(signal: string, listener: () => void): void
  listenerCount(signal: string): number
  kill(pid: number, signal: string): void
}
const { process } = globalThis as { process?: Process }

/** `close` of the clients that have jobs under way. One listener serves all: Node warns of many. */
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
  // Without our listener the signal would have ended the process. Where the application listens too, it decides. The listeners of the package
  // signal-exit, which many tools bring along, only wait for the signal to end the process, and say how many they are.
  const { count = 0 } =
    (globalThis as unknown as Record<symbol, { count?: number }>)[Symbol.for('signal-exit emitter')] ?? {}
  if (process && process.listenerCount('SIGTERM') <= count) process.kill(process.pid, 'SIGTERM')
}
