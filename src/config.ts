import { createPublicKey } from 'node:crypto'
import { existsSync } from 'node:fs'
import { isIP } from 'node:net'
import { isLoopback, isOrigin } from './addresses.ts'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

export interface ClerkConfig {
  secretKey: string
  publishableKey: string
  /** PEM public key that verifies session JWTs; undefined: keys are fetched from Clerk's JWKS endpoint */
  jwtKey: string | undefined
  apiUrl: string | undefined
  issuer: string
  webhookSecret: string | undefined
}

export interface StripeConfig {
  secretKey: string
  webhookSecret: string
  /** The key is a live one; events of the other mode are refused */
  live: boolean
  /** undefined: Stripe's */
  apiUrl: string | undefined
  automaticTax: boolean
}

/** The validated configuration. Only this file reads the environment. */
export interface Config {
  production: boolean
  host: string
  port: number
  /** An origin without a trailing slash, e.g. `https://account.example.com` */
  publicUrl: string
  database: {
    /** undefined: the embedded PGlite in `dataDir` */
    url: string | undefined
    dataDir: string
    poolSize: number
    /** Use named prepared statements; false behind a transaction-mode pooler that does not support them */
    statementNames: boolean
    migrateOnStart: boolean
    migrateUrl: string | undefined
    /** PGOPTIONS: settings of the server for our connections, such as `-c search_path=focus` */
    sessionOptions: string | undefined
  }
  /** undefined: the local identity */
  clerk: ClerkConfig | undefined
  /** `loopback`: the local identity serves only this machine; `expose`: it serves every client */
  localIdentity: 'loopback' | 'expose'
  /** OAuth provider → access token that the local identity returns for every account */
  localOauthTokens: Map<string, string>
  /** The `aud` that session JWTs without `sid` must carry; undefined: none */
  clerkAudience: string | undefined
  allowedOrigins: string[]
  adminClerkIds: string[]
  xApiUrl: string
  tokenSecret: string | undefined
  patTtlDays: number
  jobTtlSeconds: number
  /** Addresses or CIDRs of proxies whose X-Forwarded-* headers are trusted */
  trustProxy: string[]
  topupUrl: string | undefined
  stripe: StripeConfig | undefined
  /** How credits are bought: at Stripe; on a local page, for trying out; undefined: not here */
  selling: 'stripe' | 'local' | undefined
  logLevel: (typeof LOG_LEVELS)[number]
  /** Requests per minute for one account or address */
  rateLimitMax: number
  /** How long an idle connection stays open, in seconds; longer than the load balancer keeps its own */
  keepAliveSeconds: number
  /** How long the listener stays open after SIGTERM, in seconds, while /readyz answers 503 */
  drainSeconds: number
  /** Port of `GET /metrics`; undefined: metrics are off */
  metricsPort: number | undefined
  /** Base URL of an OpenTelemetry collector (OTLP over HTTP); undefined: tracing is off */
  otlpEndpoint: string | undefined
}

/** Lists every invalid environment variable, one line each. */
export class ConfigError extends Error {
  readonly faults: string[]
  constructor(faults: string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'an error' : `${faults.length} errors`}:\n  ${faults.join('\n  ')}`,
    )
    this.faults = faults
  }
}

/** The configuration of this process. Variables of the environment take precedence over those of the file `.env`. */
export function processConfig(): Config {
  if (existsSync('.env')) process.loadEnvFile('.env')
  return readConfig(process.env)
}

/**
 * Reads and checks the whole configuration.
 * @throws {ConfigError} naming every invalid variable, but no values, because some are secrets
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const faults: string[] = []

  /** Parses a variable. An empty value counts as absent, because docker compose passes unset variables as empty. */
  function read<T>(name: string, fallback: T, wanted: string, parse: (value: string) => T | undefined): T {
    const value = env[name]?.trim()
    if (!value) return fallback
    const parsed = parse(value)
    if (parsed !== undefined) return parsed
    faults.push(`${name} must be ${wanted}`)
    return fallback
  }
  const text = (name: string) => env[name]?.trim() || undefined
  const integer = (name: string, fallback: number, min: number, max: number) =>
    read(name, fallback, `a whole number from ${min} to ${max}`, (value) =>
      /^\d{1,15}$/.test(value) && Number(value) >= min && Number(value) <= max ? Number(value) : undefined,
    )
  const flag = (name: string, fallback: boolean) =>
    read(name, fallback, 'true or false', (value) => (value === 'true' ? true : value === 'false' ? false : undefined))
  const url = (name: string, protocols: RegExp, wanted: string) =>
    read<string | undefined>(name, undefined, wanted, (value) =>
      protocols.test(URL.parse(value)?.protocol ?? '') ? value : undefined,
    )
  /** A base URL: trailing slashes are removed, because paths are appended to it */
  const base = (name: string) => url(name, web, 'an http(s) URL')?.replace(/\/+$/, '')
  const list = (name: string, wanted: string, valid: (item: string) => boolean) =>
    read<string[]>(name, [], `a comma-separated list of ${wanted}`, (value) => {
      const items = value.split(',').map((item) => item.trim())
      return items.every(valid) ? items : undefined
    })
  const web = /^https?:$/
  const postgres = /^postgres(ql)?:$/

  const production = text('NODE_ENV') === 'production'
  const port = integer('PORT', 3000, 1, 65535)
  const config: Config = {
    production,
    host: read('HOST', '127.0.0.1', 'an IP address or a host name', (value) =>
      isIP(value) || /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(value) ? value : undefined,
    ),
    port,
    publicUrl: read(
      'PUBLIC_URL',
      `http://localhost:${port}`,
      'an origin such as https://account.example.com',
      (value) => {
        const origin = value.replace(/\/$/, '')
        return isOrigin(origin) ? origin : undefined
      },
    ),
    database: {
      url: url('DATABASE_URL', postgres, 'a postgres:// URL'),
      dataDir: text('DATA_DIR') ?? './data',
      poolSize: integer('DATABASE_POOL_SIZE', 6, 1, 1000),
      statementNames: read('STATEMENT_NAMES', true, 'on or off', (value) =>
        value === 'on' ? true : value === 'off' ? false : undefined,
      ),
      migrateOnStart: flag('MIGRATE_ON_START', true),
      migrateUrl: url('MIGRATE_DATABASE_URL', postgres, 'a postgres:// URL'),
      sessionOptions: text('PGOPTIONS'),
    },
    clerk: readClerk(),
    localIdentity: read('LOCAL_IDENTITY', 'loopback', 'expose, or absent', (value) =>
      value === 'expose' ? value : undefined,
    ),
    localOauthTokens: read(
      'LOCAL_OAUTH_TOKENS',
      new Map(),
      'a comma-separated list such as x=token,google=token',
      (value) => {
        const pairs = value
          .split(',')
          .map((item) => /^\s*(?:oauth_)?([a-z0-9_-]+)=(\S+)\s*$/.exec(item)?.slice(1) as [string, string])
        return pairs.every(Boolean) ? new Map(pairs) : undefined
      },
    ),
    clerkAudience: text('CLERK_AUDIENCE'),
    allowedOrigins: list('ALLOWED_ORIGINS', 'exact origins such as https://app.example.com (no path)', isOrigin),
    adminClerkIds: list('ADMIN_CLERK_IDS', 'Clerk user ids (user_…)', (item) => /^user_[\w-]{1,64}$/.test(item)),
    xApiUrl: base('X_API_URL') ?? 'https://api.twitter.com',
    tokenSecret: read<string | undefined>('TOKEN_SECRET', undefined, 'at least 32 characters long', (value) =>
      value.length >= 32 ? value : undefined,
    ),
    patTtlDays: integer('PAT_TTL_DAYS', 90, 1, 3650),
    jobTtlSeconds: integer('JOB_TTL_SECONDS', 86_400, 60, 604_800),
    trustProxy: list('TRUST_PROXY', 'addresses or CIDRs of your proxies (not true, not a number)', isAddressOrCidr),
    topupUrl: url('TOPUP_URL', web, 'an http(s) URL'),
    stripe: readStripe(),
    selling: undefined,
    logLevel: read('LOG_LEVEL', 'info', `one of ${LOG_LEVELS.join(', ')}`, (value) =>
      LOG_LEVELS.find((level) => level === value),
    ),
    rateLimitMax: integer('RATE_LIMIT_MAX', 300, 1, 1_000_000),
    keepAliveSeconds: integer('KEEP_ALIVE_SECONDS', 75, 1, 3600),
    drainSeconds: integer('DRAIN_SECONDS', 1, 0, 5),
    metricsPort: text('METRICS_PORT') ? integer('METRICS_PORT', 0, 1, 65535) : undefined,
    otlpEndpoint: base('OTEL_EXPORTER_OTLP_ENDPOINT'),
  }

  function readClerk(): ClerkConfig | undefined {
    const secretKey = text('CLERK_SECRET_KEY')
    const publishableKey = text('CLERK_PUBLISHABLE_KEY')
    const jwtKey = read<string | undefined>('CLERK_JWT_KEY', undefined, 'a PEM public key', parsePublicKey)
    const apiUrl = base('CLERK_API_URL')
    const issuer = base('CLERK_ISSUER')
    const webhookSecret = read<string | undefined>(
      'CLERK_WEBHOOK_SECRET',
      undefined,
      'a signing secret such as whsec_…',
      (value) =>
        /^whsec_(?=.)([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value) ? value : undefined,
    )
    if (!secretKey && !publishableKey) return undefined
    if (!secretKey) faults.push('CLERK_SECRET_KEY is missing (CLERK_PUBLISHABLE_KEY is set; they belong together)')
    if (!publishableKey) faults.push('CLERK_PUBLISHABLE_KEY is missing (CLERK_SECRET_KEY is set; they belong together)')
    const frontendHost = clerkFrontendHost(publishableKey ?? '')
    if (publishableKey && !frontendHost) faults.push('CLERK_PUBLISHABLE_KEY must be a key such as pk_live_…')
    if (!secretKey || !publishableKey) return undefined
    return { secretKey, publishableKey, jwtKey, apiUrl, issuer: issuer ?? `https://${frontendHost}`, webhookSecret }
  }

  function readStripe(): StripeConfig | undefined {
    const secretKey = read<string | undefined>('STRIPE_SECRET_KEY', undefined, 'a key such as sk_live_…', (value) =>
      /^[sr]k_(test|live)_\w+$/.test(value) ? value : undefined,
    )
    const webhookSecret = read<string | undefined>(
      'STRIPE_WEBHOOK_SECRET',
      undefined,
      'a signing secret such as whsec_…',
      (value) => (/^whsec_\S+$/.test(value) ? value : undefined),
    )
    const apiUrl = base('STRIPE_API_URL')
    const automaticTax = flag('STRIPE_AUTOMATIC_TAX', false)
    if (!text('STRIPE_SECRET_KEY') && !text('STRIPE_WEBHOOK_SECRET')) return undefined
    if (!text('STRIPE_SECRET_KEY'))
      faults.push('STRIPE_SECRET_KEY is missing (STRIPE_WEBHOOK_SECRET is set; they belong together)')
    if (!text('STRIPE_WEBHOOK_SECRET'))
      faults.push('STRIPE_WEBHOOK_SECRET is missing (STRIPE_SECRET_KEY is set; they belong together)')
    if (!secretKey || !webhookSecret) return undefined
    return { secretKey, webhookSecret, live: secretKey.includes('_live_'), apiUrl, automaticTax }
  }

  config.selling = config.stripe ? 'stripe' : config.clerk ? undefined : 'local'
  if (config.metricsPort === port) faults.push('METRICS_PORT must be another port than PORT')

  const publicHost = new URL(config.publicUrl).hostname
  if (production) {
    if (!text('CLERK_SECRET_KEY') && !text('CLERK_PUBLISHABLE_KEY')) {
      faults.push('CLERK_SECRET_KEY and CLERK_PUBLISHABLE_KEY are required with NODE_ENV=production')
    }
    if (!text('CLERK_JWT_KEY')) faults.push('CLERK_JWT_KEY is required with NODE_ENV=production')
    if (!text('TOKEN_SECRET')) faults.push('TOKEN_SECRET is required with NODE_ENV=production')
    if (config.publicUrl.startsWith('http:') && !isLoopback(publicHost)) {
      faults.push('PUBLIC_URL must be https with NODE_ENV=production')
    }
  } else if (!config.clerk && config.localIdentity === 'loopback') {
    const wayOut = 'while the local identity signs people in: set the Clerk keys, or LOCAL_IDENTITY=expose'
    if (!isLoopback(config.host)) faults.push(`HOST must be a loopback address ${wayOut}`)
    if (!isLoopback(publicHost)) faults.push(`PUBLIC_URL must be on a loopback address ${wayOut}`)
  }

  if (faults.length) throw new ConfigError(faults)
  return config
}

function isAddressOrCidr(item: string): boolean {
  const [address = '', bits, ...rest] = item.split('/')
  const version = isIP(address)
  if (!version || rest.length) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}

/** A PEM public key. A literal `\n`, common in .env files, counts as a line break. */
function parsePublicKey(value: string): string | undefined {
  const pem = value.replaceAll('\\n', '\n')
  try {
    createPublicKey(pem)
    return pem
  } catch {
    return undefined
  }
}

/** The frontend host inside a publishable key: `pk_test_` + base64 of `host$`. */
export function clerkFrontendHost(publishableKey: string): string | undefined {
  const payload = /^pk_(?:test|live)_([A-Za-z0-9+/=_-]+)$/.exec(publishableKey)?.[1]
  const host = payload && Buffer.from(payload, 'base64').toString()
  return host ? /^([a-z0-9.-]+\.[a-z0-9.-]+(?::\d+)?)\$$/i.exec(host)?.[1] : undefined
}
