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
}

const LATE_SECONDS = 7 * 86_400

export class Model {
  credits = 0
  entries = 0
  now = 0
  /** What apps offer, and who has granted it */
  starter = new Map<string, number>()
  granted = new Set<string>()
  jobs: ModelJob[] = []
  keys = new Map<string, { body: string; job: ModelJob }>()
  references = new Map<string, number>()

  move(amount: number): void {
    this.credits += amount
    if (amount !== 0) this.entries++
  }

  get held(): number {
    return this.jobs.reduce((sum, job) => sum + (job.ended ? 0 : job.reserved), 0)
  }

  visit(app: string, credits = this.starter.get(app) ?? 0): number {
    if (!this.granted.has(app)) this.move(credits)
    if (credits > 0) this.granted.add(app)
    return 200
  }

  reserve(
    cost: number,
    options: { app?: string; key?: string; keyed?: boolean; ttl?: number; server?: boolean } = {},
  ): number {
    const { app = '', key, keyed = false, ttl, server = false } = options
    if (keyed && ttl !== undefined && !server) return 403
    const body = `${app} ${cost} ${keyed} ${ttl}`
    const earlier = key === undefined ? undefined : this.keys.get(key)
    if (earlier && earlier.body !== body) return 422
    if (earlier) return earlier.job.ended ? 409 : 200
    this.visit(app)
    if (this.credits < cost) this.release(cost - this.credits)
    if (this.credits < cost) return 402
    this.move(-cost)
    const life = ttl ?? 86_400
    const job = { id: '', reserved: cost, keyed, ttl: life, expires: this.now + life }
    if (key !== undefined) this.keys.set(key, { body, job })
    this.jobs.push(job)
    return 200
  }

  complete(job: ModelJob, cost: number, server = false): number {
    const late = job.expired && job.ended === 'failed 0' && this.now < job.expires + LATE_SECONDS
    const refused = this.refusal(job, server)
    if (refused || !late) return refused ?? this.end(job, `completed ${cost}`, cost)
    job.ended = `completed ${cost}`
    this.move(-cost)
    return 200
  }

  fail(job: ModelJob, refund: boolean, server = false): number {
    if (job.expired && !refund) return this.refusal(job, server) ?? 409
    const cost = refund ? 0 : job.reserved
    return this.refusal(job, server) ?? this.end(job, `failed ${cost}`, cost)
  }

  heartbeat(job: ModelJob, ttl = job.ttl, server = false): number {
    const refused = this.refusal(job, server)
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
    if (amount < 0 && this.credits + amount < 0 && !allowNegative) return 409
    this.references.set(reference, amount)
    this.move(amount)
    return 200
  }

  /** A key of another app finds no job; where the job's app has one, a person alone may not */
  private refusal(job: ModelJob, server: boolean): number | undefined {
    if (server && !job.keyed) return 404
    return job.keyed && !server ? 403 : undefined
  }

  private end(job: ModelJob, how: string, cost: number): number {
    if (job.ended) return job.ended === how ? 200 : 409
    job.ended = how
    this.move(job.reserved - cost)
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
