import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { consolePage } from './frame.ts'

export const overviewPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/console', { schema: { hide: true } }, (request, reply) =>
    consolePage(request, reply, 'overview', { title: 'Overview', section: 'overview' }),
  )
}
