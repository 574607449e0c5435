import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { sql } from 'kysely'
import { missingMigrations } from '../db/migrate.ts'
import { ApiError } from '../http/errors.ts'
import { failures } from '../schemas/all.ts'

const Ok = Type.Object({ status: Type.String() }, { examples: [{ status: 'ok' }] })

const elsewhere = failures.forbidden('local_identity', 'The local identity answers only this machine.')

const notReady = (code: string, message: string) => new ApiError(503, code, message, {}, { 'retry-after': '1' })

export const healthRoutes: FastifyPluginAsyncTypebox = async (app) => {
  let migrated = false

  app.get(
    '/healthz',
    {
      config: { limit: 'none' },
      schema: {
        tags: ['Health'],
        summary: 'The process is alive',
        security: [],
        response: { 200: { ...Ok, description: 'Alive' }, 403: elsewhere },
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
        summary:
          'Requests can be served: the database answers, with the schema of this release, and we are not stopping',
        security: [],
        response: {
          200: { ...Ok, description: 'Ready' },
          403: elsewhere,
          500: failures.internal,
          503: {
            ...failures.unavailable,
            description: 'Not now: database_unavailable, migrations_pending, or shutting_down',
          },
        },
      },
    },
    async () => {
      if (app.isDraining()) throw notReady('shutting_down', 'This instance is stopping; ask another one.')
      // What is there stays there: migrations only go forward. A database that is ahead belongs to a rolling upgrade.
      if (migrated) await sql`select 1`.execute(app.db)
      else {
        const missing = await missingMigrations(app.db)
        if (missing.length) {
          throw notReady('migrations_pending', `The database lacks ${missing.join(', ')}: run \`npm run migrate\`.`)
        }
        migrated = true
      }
      return { status: 'ok' }
    },
  )
}
