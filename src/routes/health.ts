import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { sql } from 'kysely'
import { missingMigrations } from '../db/migrate.ts'
import {
  databaseUnavailable,
  internalError,
  localIdentityOnly,
  migrationsPending,
  shuttingDown,
} from '../http/catalogue.ts'
import { refusals } from '../http/refusals.ts'

const Ok = Type.Object({ status: Type.String() }, { examples: [{ status: 'ok' }] })

export const healthRoutes: FastifyPluginAsyncTypebox = async (app) => {
  let migrated = false

  app.get(
    '/healthz',
    {
      config: { limit: 'none' },
      schema: {
        tags: ['Health'],
        operationId: 'checkHealth',
        summary: 'The process is alive',
        description: 'For the liveness check of a container. It asks neither the database nor the identity provider.',
        security: [],
        response: { 200: { ...Ok, description: 'Alive' }, ...refusals(localIdentityOnly) },
      },
    },
    async () => ({ status: 'ok' }),
  )

  app.get(
    '/readyz',
    {
      config: { limit: 'none' },
      schema: {
        tags: ['Health'],
        operationId: 'checkReadiness',
        summary: 'The service is ready: the database answers and is migrated, and the process is not shutting down',
        description:
          'For the readiness check of a load balancer, which sends requests to instances that answer 200 only.',
        security: [],
        response: {
          200: { ...Ok, description: 'Ready' },
          ...refusals(localIdentityOnly, internalError, databaseUnavailable, migrationsPending, shuttingDown),
        },
      },
    },
    async () => {
      if (app.isDraining()) throw shuttingDown()
      // Migrations only go forward, so this is checked until it is true. A database that is ahead is fine: it is being
      // upgraded, instance by instance.
      if (migrated) await sql`select 1`.execute(app.db)
      else {
        const missing = await missingMigrations(app.db)
        if (missing.length) throw migrationsPending(missing)
        migrated = true
      }
      return { status: 'ok' }
    },
  )
}
