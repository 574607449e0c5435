import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { firstSteps } from './first-steps.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'

/** The first page: how things stand. */
export const overviewPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/console', { schema: { hide: true } }, async (request, reply) =>
    consolePage(request, reply, 'overview', {
      title: 'Overview',
      section: 'overview',
      help: HELP.overview,
      steps: await firstSteps(app),
    }),
  )
}
