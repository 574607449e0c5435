import { readFileSync } from 'node:fs'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

type Media = { schema?: { $ref?: string; example?: unknown }; example?: unknown; examples?: unknown }
type Document = {
  paths?: Record<string, Record<string, { responses?: Record<string, { content?: Record<string, Media> }> }>>
  components?: { schemas?: Record<string, { example?: unknown }> }
}

const MARK = readFileSync(new URL('../../views/assets/icon.svg', import.meta.url))

/** Markdown, shown at the top of /api/docs. Relative links, because the document is the same under every PUBLIC_URL. */
const DESCRIPTION = `Identity, credits, job tracking for thefocus.ai apps

To try it, [sign in](/signin), come back to this page, open an operation and press *Try it out*.`

/** Serves the OpenAPI document at /api/openapi.json and Swagger UI at /api/docs. Call it before adding routes. */
export async function registerDocs(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.0.3',
      info: {
        title: 'The Focus API',
        description: DESCRIPTION,
        version: '0.1.0',
      },
      servers: [{ url: app.config.publicUrl }],
      tags: [
        'Auth',
        'Wallet',
        'Purchases',
        'Jobs',
        'X Integration',
        'OAuth Tokens',
        'Device',
        'Admin',
        'Webhooks',
        'Health',
      ].map((name) => ({
        name,
      })),
      components: {
        securitySchemes: {
          bearerAuth: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          twitterBearer: { type: 'http', scheme: 'bearer' },
          appKey: {
            type: 'apiKey',
            in: 'header',
            name: 'X-App-Key',
            description: "An app's settle key, sent by its server",
          },
          sessionCookie: {
            type: 'apiKey',
            in: 'cookie',
            name: '__Host-focus_session',
            description: 'Set by /signin. Its name is focus_session where PUBLIC_URL is http',
          },
        },
      },
      security: [{ bearerAuth: [] }, { sessionCookie: [] }],
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, i) => String(json.$id ?? `def-${i}`) },
    transformObject: (document) => {
      if (!('openapiObject' in document)) return document.swaggerObject
      return withExamples(document.openapiObject as Document) as typeof document.openapiObject
    },
  })
  app.get('/api/openapi.json', { schema: { hide: true } }, () => app.swagger())
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

/** Copies the example of a component to every response that refers to it, where readers look for it. */
function withExamples(document: Document): Document {
  for (const operations of Object.values(document.paths ?? {})) {
    for (const { responses } of Object.values(operations)) {
      for (const { content } of Object.values(responses ?? {})) {
        for (const media of Object.values(content ?? {})) {
          const name = media.schema?.$ref?.split('/').at(-1)
          if (media.example === undefined && media.examples === undefined && name) {
            media.example = document.components?.schemas?.[name]?.example
          }
        }
      }
    }
  }
  return document
}
