/**
 * A minimal reference model of the ledger for one account. Every operation returns the status to expect. Time is a number of
 * seconds that advances only through `now`.
 */
export interface ModelJob {
  id: string
  reserved: number
  /** Of an app with a settle key */
  keyed: boolean
  ttl: number
  expires: number
  /** `completed 3`, `failed 0`; undefined: under way */
  ended?: string
  expired?: boolean
  /** What it was charged, which a cap may have kept below what was asked for; and what was given back of that, by part */
  cost: number
  cap?: number
  refunds: Map<number, number>
  /** Ended with its account */
  closed?: boolean
  /** The budgets that it counts against, and when it was reserved, in ms of the real clock less the days that went by here */
  budgets: string[]
  made: number
}

export interface ModelBudget {
  amount: number | null
  period: 'day' | 'week' | 'month' | null
  apps: string[] | null
}

const DAY = 86_400_000

let ticks = 0
/** The real time in ms; no two are the same. */
const clock = () => Date.now() + ++ticks * 1e-3

/** When the period began that is open now. The first of January 1970 was a Thursday. */
function began(period: ModelBudget['period']): number {
  const now = Date.now()
  const day = now - (now % DAY)
  if (period === 'day') return day
  if (period === 'week') return day - ((day / DAY + 3) % 7) * DAY
  if (period === 'month') return Date.parse(`${new Date(now).toISOString().slice(0, 7)}-01T00:00:00Z`)
  return Number.NEGATIVE_INFINITY
}

const LATE_SECONDS = 7 * 86_400

export class Model {
  credits = 0
  entries = 0
  now = 0
  closed = false
  /** What apps offer, and who has granted it */
  starter = new Map<string, number>()
  granted = new Set<string>()
  jobs: ModelJob[] = []
  keys = new Map<string, { body: string; job: ModelJob }>()
  references = new Map<string, number>()
  budgets = new Map<string, ModelBudget>()
  /** Tokens that do not work any more */
  revoked = new Set<string>()

  move(amount: number): void {
    this.credits += amount
    if (amount !== 0) this.entries++
  }

  get held(): number {
    return this.jobs.reduce((sum, job) => sum + (job.ended ? 0 : job.reserved), 0)
  }

  visit(app: string, credits = this.starter.get(app) ?? 0): number {
    if (this.closed) return 200
    if (!this.granted.has(app)) this.move(credits)
    if (credits > 0) this.granted.add(app)
    return 200
  }

  reserve(
    cost: number,
    options: {
      app?: string
      key?: string
      keyed?: boolean
      cap?: number | undefined
      ttl?: number
      server?: boolean
      budgets?: string[]
    } = {},
  ): number {
    const { app = '', key, keyed = false, cap, ttl, server = false, budgets = [] } = options
    if (keyed && ttl !== undefined && !server) return 403
    const body = `${app} ${cost} ${keyed} ${ttl}`
    const earlier = key === undefined ? undefined : this.keys.get(key)
    if (earlier && earlier.body !== body) return 422
    if (earlier) return earlier.job.ended ? 409 : 200
    if (this.closed || budgets.some((id) => !this.admits(id, app, cost))) return 403
    this.visit(app)
    if (this.credits < cost) this.release(cost - this.credits)
    if (this.credits < cost) return 402
    this.move(-cost)
    const life = ttl ?? 86_400
    const job: ModelJob = {
      id: '',
      reserved: cost,
      keyed,
      ttl: life,
      expires: this.now + life,
      cost: 0,
      refunds: new Map(),
      budgets,
      made: clock(),
    }
    if (cap !== undefined) job.cap = cap
    if (key !== undefined) this.keys.set(key, { body, job })
    this.jobs.push(job)
    return 200
  }

  /** What the jobs of a budget hold and cost that were made in its period */
  spent(id: string): number {
    const budget = this.budgets.get(id)
    if (!budget) return 0
    const from = began(budget.period)
    const mine = this.jobs.filter(({ budgets, made }) => budgets.includes(id) && made >= from)
    return mine.reduce((sum, { ended, cost, reserved }) => sum + (ended ? cost : reserved), 0)
  }

  private admits(id: string, app: string, cost: number): boolean {
    const { amount, apps } = this.budgets.get(id) ?? { amount: null, apps: null }
    return (apps?.includes(app) ?? true) && (amount === null || this.spent(id) + cost <= amount)
  }

  limit(id: string, limits: ModelBudget): number {
    this.budgets.set(id, limits)
    return 200
  }

  /** So many days go by for budgets: the time of holds stands still */
  turn(days: number): void {
    for (const each of this.jobs) each.made -= days * DAY
  }

  complete(job: ModelJob, cost: number, server = false): number {
    const late = job.expired && job.ended === 'failed 0' && this.now < job.expires + LATE_SECONDS
    const refused = this.refusal(job, server) ?? this.unlessEnded(job, late)
    if (refused || !late) return refused ?? this.end(job, `completed ${cost}`, cost)
    job.ended = `completed ${cost}`
    job.cost = this.charged(job, cost)
    this.move(-job.cost)
    return 200
  }

  fail(job: ModelJob, refund: boolean, server = false): number {
    if (job.expired && !refund) return this.refusal(job, server) ?? 409
    const cost = refund ? 0 : job.reserved
    return this.refusal(job, server) ?? this.unlessEnded(job) ?? this.end(job, `failed ${cost}`, cost)
  }

  heartbeat(job: ModelJob, ttl = job.ttl, server = false): number {
    const refused = this.refusal(job, server) ?? this.unlessEnded(job)
    if (refused || job.ended) return refused ?? 409
    job.expires = Math.max(job.expires, this.now + ttl)
    return 200
  }

  /** Whether the hold was given back */
  expire(job: ModelJob): boolean {
    if (job.ended || job.expires > this.now) return false
    job.expired = true
    this.end(job, 'failed 0', 0)
    return true
  }

  sweep(): void {
    for (const job of this.jobs) this.expire(job)
  }

  adjust(amount: number, reference: string, allowNegative = false): number {
    const earlier = this.references.get(reference)
    if (earlier !== undefined) return earlier === amount ? 200 : 409
    if (this.closed) return 403
    if (amount < 0 && this.credits + amount < 0 && !allowNegative) return 409
    this.references.set(reference, amount)
    this.move(amount)
    return 200
  }

  /** Gives back a part of what a job cost: all that is left of it, unless an amount is said */
  refund(job: ModelJob, part: number, amount?: number): number {
    const parts = [...job.refunds].reduce((sum, [n, given]) => (n === part ? sum : sum + given), 0)
    const given = amount ?? job.cost - parts
    const earlier = job.refunds.get(part)
    if (earlier !== undefined) return earlier === given ? 200 : 409
    if (this.closed) return 403
    if (!job.ended || given < 1 || parts + given > job.cost) return 409
    job.refunds.set(part, given)
    this.move(given)
    return 200
  }

  private charged({ reserved, cap = Number.MAX_SAFE_INTEGER }: ModelJob, cost: number): number {
    return cost - reserved > cap ? reserved + cap : cost
  }

  /** Every hold comes back, and nothing moves any more */
  close(): void {
    for (const job of this.jobs.filter(({ ended }) => !ended)) {
      this.end(job, 'failed 0', 0)
      job.closed = true
    }
    this.closed = true
  }

  /** A closed account repeats what it has answered; nothing else. What ended with it is not even repeated */
  private unlessEnded(job: ModelJob, late = false): number | undefined {
    return job.closed || (this.closed && (!job.ended || late)) ? 403 : undefined
  }

  /** A key of another app finds no job; where the job's app has one, a person alone may not */
  private refusal(job: ModelJob, server: boolean): number | undefined {
    if (server && !job.keyed) return 404
    return job.keyed && !server ? 403 : undefined
  }

  private end(job: ModelJob, how: string, cost: number): number {
    if (job.ended) return job.ended === how ? 200 : 409
    job.ended = how
    job.cost = this.charged(job, cost)
    this.move(job.reserved - job.cost)
    return 200
  }

  /** Overdue holds, the largest first, until so many credits have come back */
  private release(credits: number): void {
    let missing = credits
    const overdue = this.jobs.filter((job) => !job.ended && job.expires <= this.now && job.reserved > 0)
    for (const job of overdue.sort((a, b) => b.reserved - a.reserved)) {
      if (missing <= 0) return
      this.expire(job)
      missing -= job.reserved
    }
  }
}
