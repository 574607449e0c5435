import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

type Media = { schema?: { $ref?: string; example?: unknown }; example?: unknown; examples?: unknown }
type Document = {
  paths?: Record<string, Record<string, { responses?: Record<string, { content?: Record<string, Media> }> }>>
  components?: { schemas?: Record<string, { example?: unknown }> }
}

/** Serves the OpenAPI document at /api/openapi.json and Swagger UI at /api/docs. Register it before the routes it describes. */
export async function registerDocs(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.0.3',
      info: {
        title: 'The Focus API',
        description: 'Identity, credits, job tracking for thefocus.ai apps',
        version: '0.1.0',
      },
      servers: [{ url: app.config.publicUrl }],
      tags: ['Auth', 'Wallet', 'Jobs', 'X Integration', 'OAuth Tokens', 'Device', 'Admin', 'Webhooks', 'Health'].map(
        (name) => ({
          name,
        }),
      ),
      components: {
        securitySchemes: {
          bearerAuth: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          twitterBearer: { type: 'http', scheme: 'bearer' },
          appKey: {
            type: 'apiKey',
            in: 'header',
            name: 'X-App-Key',
            description: "An app's settle key, from its server",
          },
          sessionCookie: {
            type: 'apiKey',
            in: 'cookie',
            name: '__Host-focus_session',
            description: 'Set by /signin; called focus_session where the service is reached by http',
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
    staticCSP: {
      'default-src': "'none'",
      'script-src': "'self'",
      // Swagger UI sets inline styles by script. Images come from this origin only.
      'style-src': ["'self'", "'unsafe-inline'"],
      'img-src': ["'self'", 'data:'],
      'font-src': ["'self'", 'data:'],
      'connect-src': "'self'",
      'base-uri': "'none'",
      'form-action': "'none'",
      'frame-ancestors': "'none'",
      // Only with https: over http, upgraded requests for the page's scripts would fail.
      ...(app.config.publicUrl.startsWith('https:') && { 'upgrade-insecure-requests': '' }),
    },
  })
}

/** Copies the example of a component to each response that refers to it, because many tools show only those. */
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
