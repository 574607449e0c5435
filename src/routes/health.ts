import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { sql } from 'kysely'
import { failures } from '../schemas.ts'

const Ok = Type.Object({ status: Type.String() }, { examples: [{ status: 'ok' }] })

const elsewhere = failures.forbidden('local_identity', 'The local identity answers only this machine.')

export const healthRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/healthz',
    {
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
      schema: {
        tags: ['Health'],
        summary: 'Requests can be served: the database answers',
        security: [],
        response: {
          200: { ...Ok, description: 'Ready' },
          403: elsewhere,
          500: failures.internal,
          503: failures.unavailable,
        },
      },
    },
    async () => {
      await sql`select 1`.execute(app.db)
      return { status: 'ok' }
    },
  )
}
