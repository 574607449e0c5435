import { generateKeyPairSync } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ConfigError, readConfig } from '../../src/config.ts'
import { launch } from '../support/process.ts'

const publicKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' })
const clerk = {
  CLERK_SECRET_KEY: 'sk_test_1',
  CLERK_PUBLISHABLE_KEY: `pk_test_${Buffer.from('clerk.example.com$').toString('base64')}`,
}
const production = {
  ...clerk,
  NODE_ENV: 'production',
  CLERK_JWT_KEY: String(publicKey),
  TOKEN_SECRET: 'a secret of more than 32 characters',
  PUBLIC_URL: 'https://account.example.com',
}

type Env = Record<string, string>

function faultsOf(env: Env): string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

t.test('without any environment the defaults are those of the documentation', async (t) => {
  t.strictSame(readConfig({}), {
    production: false,
    host: '127.0.0.1',
    port: 3000,
    publicUrl: 'http://localhost:3000',
    database: {
      url: undefined,
      dataDir: './data',
      poolSize: 6,
      statementNames: true,
      migrateOnStart: true,
      migrateUrl: undefined,
      sessionOptions: undefined,
    },
    clerk: undefined,
    localIdentity: 'loopback',
    localOauthTokens: new Map(),
    clerkAudience: undefined,
    allowedOrigins: [],
    adminClerkIds: [],
    xApiUrl: 'https://api.twitter.com',
    tokenSecret: undefined,
    patTtlDays: 90,
    jobTtlSeconds: 86_400,
    trustProxy: [],
    topupUrl: undefined,
    selling: 'local',
    stripe: undefined,
    logLevel: 'info',
    rateLimitMax: 300,
    keepAliveSeconds: 75,
    drainSeconds: 1,
    metricsPort: undefined,
    otlpEndpoint: undefined,
  })
  t.strictSame(readConfig({ PORT: '', DATABASE_URL: ' ', TRUST_PROXY: '' }), readConfig({}), 'empty is absent')
})

// Each variable: values that are taken, with what becomes of them, and values that are refused.
const table: Record<
  string,
  { taken: [value: string, becomes: unknown, also?: Env][]; refused: (string | [value: string, also: Env])[] }
> = {
  PORT: {
    taken: [
      ['1', 1],
      ['65535', 65_535],
      [' 8080 ', 8080],
    ],
    refused: ['0', '65536', '-1', '80.5', '0x50', '1e3', 'http', '٣'],
  },
  HOST: {
    taken: [
      ['localhost', 'localhost'],
      ['::1', '::1'],
      ['127.0.0.2', '127.0.0.2'],
      ['0.0.0.0', '0.0.0.0', clerk],
      ['0.0.0.0', '0.0.0.0', { LOCAL_IDENTITY: 'expose' }],
      ['api.internal', 'api.internal', clerk],
    ],
    refused: [
      '0.0.0.0',
      '192.168.1.5',
      '::',
      'example.com',
      ['not a host', clerk],
      ['db:5432', clerk],
      ['http://localhost', clerk],
    ],
  },
  PUBLIC_URL: {
    taken: [
      ['http://127.0.0.1:4000', 'http://127.0.0.1:4000'],
      ['https://localhost:8443/', 'https://localhost:8443'],
      ['https://account.example.com', 'https://account.example.com', clerk],
      ['https://account.example.com', 'https://account.example.com', { LOCAL_IDENTITY: 'expose' }],
    ],
    refused: [
      'https://account.example.com',
      'http://localhost:3000/path',
      'http://localhost:3000?x=1',
      'http://LOCALHOST',
      'http://localhost:80',
      'http://user@localhost',
      'localhost:3000',
      'ftp://localhost',
      '*',
    ],
  },
  DATABASE_URL: {
    taken: [
      ['postgres://u:p@db:5432/focus?sslmode=require', 'postgres://u:p@db:5432/focus?sslmode=require'],
      ['postgresql://db/focus', 'postgresql://db/focus'],
    ],
    refused: ['mysql://db/focus', 'db:5432', 'http://db', 'postgres'],
  },
  DATA_DIR: { taken: [['/var/lib/focus', '/var/lib/focus']], refused: [] },
  DATABASE_POOL_SIZE: { taken: [['1', 1]], refused: ['0', '1001', 'many', '-6'] },
  MIGRATE_ON_START: {
    taken: [
      ['true', true],
      ['false', false],
    ],
    refused: ['0', 'yes', 'TRUE', 'constructor', 'toString'],
  },
  MIGRATE_DATABASE_URL: { taken: [['postgres://owner@db/focus', 'postgres://owner@db/focus']], refused: ['owner'] },
  CLERK_SECRET_KEY: { taken: [['sk_live_1', 'sk_live_1', clerk]], refused: ['sk_without_the_other'] },
  CLERK_PUBLISHABLE_KEY: {
    taken: [[clerk.CLERK_PUBLISHABLE_KEY, clerk.CLERK_PUBLISHABLE_KEY, clerk]],
    refused: [clerk.CLERK_PUBLISHABLE_KEY, 'pk_test_', 'pk_other_YS5iJA==', `pk_test_${btoa('nodot$')}`, 'sk_test_1'],
  },
  CLERK_JWT_KEY: {
    taken: [
      [String(publicKey), String(publicKey).trim(), clerk],
      [String(publicKey).replaceAll('\n', '\\n'), String(publicKey), clerk],
    ],
    refused: ['-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----', 'kid_1'],
  },
  CLERK_API_URL: { taken: [['http://127.0.0.1:4010/', 'http://127.0.0.1:4010', clerk]], refused: ['api.clerk.com'] },
  CLERK_AUDIENCE: { taken: [['focus', 'focus']], refused: [] },
  CLERK_ISSUER: { taken: [['https://clerk.example.org', 'https://clerk.example.org', clerk]], refused: ['clerk'] },
  CLERK_WEBHOOK_SECRET: {
    taken: [['whsec_dGVzdA==', 'whsec_dGVzdA==', clerk]],
    refused: [
      ['whsec_', clerk],
      ['whsec_1', clerk],
      ['dGVzdA==', clerk],
      ['sk_live_1', clerk],
    ],
  },
  ALLOWED_ORIGINS: {
    taken: [['https://a.example.com, http://localhost:5173', ['https://a.example.com', 'http://localhost:5173']]],
    refused: [
      '*',
      'https://*.example.com',
      'https://a.example.com/',
      'https://a.example.com/path',
      'HTTPS://a.example.com',
      'https://a.example.com:443',
      'https://a.example.com,,',
      'https://a.example.com https://b.example.com',
      'null',
      'a.example.com',
    ],
  },
  LOCAL_IDENTITY: { taken: [['expose', 'expose']], refused: ['true', 'loopback', 'EXPOSE'] },
  LOCAL_OAUTH_TOKENS: {
    taken: [
      [
        'x=a=b, oauth_google=c',
        new Map([
          ['x', 'a=b'],
          ['google', 'c'],
        ]),
      ],
    ],
    refused: ['token', 'x=', '=token', 'x=a b', 'x=a,', 'X=a'],
  },
  ADMIN_CLERK_IDS: {
    taken: [['user_2abc,user_2def', ['user_2abc', 'user_2def']]],
    refused: ['ada@example.com', 'user_', 'user_2abc;user_2def', '*'],
  },
  X_API_URL: { taken: [['http://127.0.0.1:4020', 'http://127.0.0.1:4020']], refused: ['api.twitter.com', 'file:///x'] },
  TOKEN_SECRET: { taken: [['x'.repeat(32), 'x'.repeat(32)]], refused: ['x'.repeat(31)] },
  PAT_TTL_DAYS: { taken: [['1', 1]], refused: ['0', '3651', '1.5'] },
  JOB_TTL_SECONDS: { taken: [['60', 60]], refused: ['59', '604801', '1h'] },
  TRUST_PROXY: {
    taken: [['10.0.0.0/8, 127.0.0.1,::1/128', ['10.0.0.0/8', '127.0.0.1', '::1/128']]],
    refused: ['true', '1', '0', 'loopback', 'proxy.internal', '10.0.0.0/33', '10.0.0.0/', '*', '10.0.0.0/8/8'],
  },
  TOPUP_URL: {
    taken: [['https://pay.example.com/credits/?for=focus/', 'https://pay.example.com/credits/?for=focus/']],
    refused: ['pay.example.com', 'javascript:alert(1)'],
  },
  LOG_LEVEL: { taken: [['silent', 'silent']], refused: ['verbose', 'INFO', 'constructor'] },
  STATEMENT_NAMES: {
    taken: [
      ['off', false],
      ['on', true],
    ],
    refused: ['false', 'no', 'OFF'],
  },
  PGOPTIONS: { taken: [['-c search_path=focus', '-c search_path=focus']], refused: [] },
  RATE_LIMIT_MAX: { taken: [['1', 1]], refused: ['0', 'unlimited'] },
  KEEP_ALIVE_SECONDS: { taken: [['600', 600]], refused: ['0', '3601', '1m'] },
  DRAIN_SECONDS: { taken: [['0', 0]], refused: ['6', '-1', '1s'] },
  METRICS_PORT: { taken: [['9464', 9464]], refused: ['0', 'on', '3000', ['8080', { PORT: '8080' }]] },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    taken: [['http://localhost:4318/', 'http://localhost:4318']],
    refused: ['localhost:4318', 'grpc://localhost:4317'],
  },
}

/** Where a variable's value stands in the configuration. */
function settingOf(variable: string, env: Env): unknown {
  const config = readConfig(env)
  const places: Record<string, unknown> = {
    DATABASE_URL: config.database.url,
    DATA_DIR: config.database.dataDir,
    DATABASE_POOL_SIZE: config.database.poolSize,
    STATEMENT_NAMES: config.database.statementNames,
    MIGRATE_ON_START: config.database.migrateOnStart,
    PGOPTIONS: config.database.sessionOptions,
    MIGRATE_DATABASE_URL: config.database.migrateUrl,
    CLERK_SECRET_KEY: config.clerk?.secretKey,
    CLERK_PUBLISHABLE_KEY: config.clerk?.publishableKey,
    CLERK_JWT_KEY: config.clerk?.jwtKey,
    CLERK_API_URL: config.clerk?.apiUrl,
    CLERK_ISSUER: config.clerk?.issuer,
    CLERK_WEBHOOK_SECRET: config.clerk?.webhookSecret,
    OTEL_EXPORTER_OTLP_ENDPOINT: config.otlpEndpoint,
  }
  if (variable in places) return places[variable]
  const name = variable.toLowerCase().replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return (config as unknown as Env)[name]
}

for (const [variable, { taken, refused }] of Object.entries(table)) {
  t.test(`${variable} is checked`, async (t) => {
    for (const [value, becomes, also = {}] of taken) {
      t.strictSame(settingOf(variable, { ...also, [variable]: value }), becomes, `${variable}=${value}`)
    }
    for (const wrong of refused) {
      const [value, also] = typeof wrong === 'string' ? [wrong, {}] : wrong
      const faults = faultsOf({ ...also, [variable]: value })
      t.ok(
        faults.some((fault) => fault.startsWith(variable) || fault.includes(`(${variable} is set`)),
        `${variable}=${value}: ${faults.join('; ')}`,
      )
    }
  })
}

t.test('the issuer is the frontend host of the publishable key unless one is given', async (t) => {
  t.equal(readConfig(clerk).clerk?.issuer, 'https://clerk.example.com')
})

t.test('every fault is reported together, by name, and no value is repeated', async (t) => {
  const variables = Object.keys(table).filter((name) => table[name]?.refused.length && name !== 'CLERK_SECRET_KEY')
  const env = Object.fromEntries(variables.map((name) => [name, `Wr0ng-${name.toLowerCase()}`]))
  const faults = faultsOf(env)
  for (const name of variables) {
    t.equal(faults.filter((fault) => fault.startsWith(`${name} `)).length, 1, `${name} is named once`)
  }
  t.notMatch(faults.join('\n'), /Wr0ng/)
})

t.test('production wants everything that is not for trying out, in one go', async (t) => {
  t.strictSame(faultsOf(production), [])
  const faults = faultsOf({ NODE_ENV: 'production', PUBLIC_URL: 'http://account.example.com' }).join('\n')
  for (const name of ['CLERK_SECRET_KEY', 'CLERK_PUBLISHABLE_KEY', 'CLERK_JWT_KEY', 'TOKEN_SECRET', 'PUBLIC_URL']) {
    t.match(faults, new RegExp(`\\b${name}\\b`))
  }
  t.match(faultsOf({ ...production, CLERK_PUBLISHABLE_KEY: '' }).join(), /CLERK_PUBLISHABLE_KEY is missing/)
  const exposed = { NODE_ENV: 'production', LOCAL_IDENTITY: 'expose' }
  t.match(faultsOf(exposed).join(), /CLERK_SECRET_KEY/, 'LOCAL_IDENTITY=expose does not lift this')
})

t.test('a wrong configuration ends the process with all its faults, exit code 1 and no stack trace', async (t) => {
  const secret = 'Wr0ngSecret'
  const { closed } = await launch(t, { PORT: '99999', TOKEN_SECRET: secret, DATABASE_URL: `http://u:${secret}@db/x` })
  const { code, output } = await closed
  t.equal(code, 1)
  t.match(output, /3 errors/)
  for (const name of ['PORT', 'TOKEN_SECRET', 'DATABASE_URL']) t.match(output, new RegExp(`^ {2}${name} `, 'm'))
  t.notMatch(output, new RegExp(secret))
  t.notMatch(output, /^\s+at |node:|\.ts:/m, 'no stack trace')
})

t.test('a Node that cannot run TypeScript gets a sentence, from npm start and from the image', async (t) => {
  const { closed } = await launch(t, {}, [
    ...['-r', fileURLToPath(new URL('../support/node-20.cjs', import.meta.url))],
    ...['-r', fileURLToPath(new URL('../../src/commands/check-node.cjs', import.meta.url))],
  ])
  const { code, output } = await closed
  t.equal(code, 1)
  t.equal(output.split('\n').length, 2, 'one line')
  t.match(output, /needs Node 24 or newer; this is v20\.11\.0/)

  const guarded = /node -r \.\/src\/commands\/check-node\.cjs/
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8'))
  for (const script of ['start', 'dev', 'migrate', 'verify', 'shard']) t.match(scripts[script], guarded, script)
  t.match((await readFile('Dockerfile', 'utf8')).replace(/[[\]",]/g, ''), guarded)
})
