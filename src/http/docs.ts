import { readFileSync } from 'node:fs'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { webhookOperations } from '../schemas/webhook-requests.ts'
import { DOCUMENTED } from './compilers.ts'

type Schema = {
  [keyword: string]: unknown
  $ref?: string
  nullable?: boolean
  example?: unknown
}
type Media = { schema?: Schema; example?: unknown; examples?: unknown }
interface Operation {
  requestBody?: { required: boolean; content: Record<string, Media> }
  responses?: Record<string, { content?: Record<string, Media> }>
}
type Document = {
  paths?: Record<string, Record<string, Operation>>
  components?: { schemas?: Record<string, Schema> }
}

const MARK = readFileSync(new URL('../../views/assets/icon.svg', import.meta.url))

/** Markdown, shown at the top of /api/docs. Relative links, because the document is the same under every PUBLIC_URL. */
const DESCRIPTION = `Identity, credits, job tracking for thefocus.ai apps

To try it, [sign in](/signin), come back to this page, open an operation and press *Try it out*.`

/** In the order of the document. */
const TAGS = {
  Auth: 'Signing in, session tokens and personal access tokens.',
  Wallet: 'The credits of an account, and every change of them.',
  Purchases: 'Buying credits: packs, purchases and automatic top-ups.',
  Jobs: 'Paid work: reserve credits, then complete or fail.',
  'X Integration': "X's access token of a connected account, and a proxy that reads the profile with it.",
  'OAuth Tokens': 'Access tokens of the providers that a person has connected.',
  Device: 'Login of programs without a browser of their own (RFC 8628): the device shows a code, a person approves it.',
  OAuth: 'Login of programs by the standards: OAuth 2.1 with PKCE, and the device grant. Any client library speaks it.',
  Admin: 'Apps, credits and accounts. Only administrators.',
  Webhooks:
    'Events that the identity provider and Stripe send to this service. Those that this service sends are `x-webhooks`.',
  Health: 'For containers and load balancers.',
}

/** Serves the OpenAPI document at /api/openapi.json and Swagger UI at /api/docs. Call it before adding routes. */
export async function registerDocs(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.0.3',
      info: {
        title: 'The Focus API',
        description: DESCRIPTION,
        version: '0.1.0',
        contact: { name: 'The Focus', url: 'https://thefocus.ai' },
        license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
      },
      servers: [{ url: app.config.publicUrl }],
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          bearerAuth: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'A session JWT, or a personal access token (`focus_pat_…`)',
          },
          twitterBearer: {
            type: 'http',
            scheme: 'bearer',
            description: "X's own access token, as /api/xToken returns it",
          },
          appKey: {
            type: 'apiKey',
            in: 'header',
            name: 'X-App-Key',
            description:
              "An app's settle key, sent by its server: it settles and reads the app's own jobs, of the person whose token comes along or of `account_id`",
          },
          appBasic: {
            type: 'http',
            scheme: 'basic',
            description: "An app's slug and its settle key",
          },
          sessionCookie: {
            type: 'apiKey',
            in: 'cookie',
            name: '__Host-focus_session',
            description:
              'Set by /signin. Where PUBLIC_URL is http, its name is focus_session_ and the port, such as focus_session_3000',
          },
        },
      },
      security: [{ bearerAuth: [] }, { sessionCookie: [] }],
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, i) => String(json.$id ?? `def-${i}`) },
    transformObject: (document) => {
      if (!('openapiObject' in document)) return document.swaggerObject
      return completed(document.openapiObject as Document) as typeof document.openapiObject
    },
  })
  // Bytes that all answers share, however many readers take their time.
  let document: Buffer | undefined
  app.get('/api/openapi.json', { schema: { hide: true } }, (_request, reply) => {
    document ??= Buffer.from(JSON.stringify(app.swagger()))
    return reply.type('application/json; charset=utf-8').send(document)
  })
  await app.register(swaggerUi, {
    routePrefix: '/api/docs',
    logo: { type: 'image/svg+xml', content: MARK, href: '/api/docs', target: '_self' },
    theme: {
      title: 'The Focus API',
      favicon: [{ filename: 'icon.svg', rel: 'icon', type: 'image/svg+xml', sizes: 'any', content: MARK }],
    },
    staticCSP: {
      'default-src': "'none'",
      'script-src': "'self'",
      // Swagger UI sets styles by script, which the policy that it ships with forbids. That policy also allows images from anywhere.
      'style-src': ["'self'", "'unsafe-inline'"],
      'img-src': ["'self'", 'data:'],
      'font-src': ["'self'", 'data:'],
      'connect-src': "'self'",
      'base-uri': "'none'",
      'form-action': "'none'",
      'frame-ancestors': "'none'",
      // Without https, an upgraded request for the page's scripts would fail.
      ...(app.config.publicUrl.startsWith('https:') && { 'upgrade-insecure-requests': '' }),
    },
  })
}

/** Adds what @fastify/swagger leaves out. */
function completed(document: Document): Document {
  const schemas = document.components?.schemas ?? {}
  const named = ({ $ref }: Schema = {}) => schemas[$ref?.split('/').at(-1) ?? '']
  for (const { requestBody, responses } of Object.values(document.paths ?? {}).flatMap(Object.values<Operation>)) {
    if (requestBody) {
      // @fastify/swagger calls every body required. One that may be null may also be absent.
      const bodies = Object.values(requestBody.content).map(({ schema }) => named(schema) ?? schema)
      requestBody.required = !bodies.some((schema) => schema?.nullable)
    }
    // Readers look for an example in the response, not in the component that it refers to.
    for (const media of Object.values(responses ?? {}).flatMap(({ content = {} }) => Object.values(content))) {
      if (media.example === undefined && media.examples === undefined) {
        const example = named(media.schema)?.example
        if (example !== undefined) media.example = example
      }
    }
  }
  return { ...(spread(document) as Document), ...{ 'x-webhooks': webhookOperations } }
}

/** Moves what the keyword `documented` holds to the other constraints of its schema. */
function spread(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(spread)
  if (typeof value !== 'object' || value === null) return value
  const { [DOCUMENTED]: documented, ...others } = value as Record<string, unknown>
  const spreadOut = Object.entries(others).map(([name, inner]) => [name, spread(inner)])
  return { ...Object.fromEntries(spreadOut), ...(documented as object | undefined) }
}
