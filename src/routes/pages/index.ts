import { fileURLToPath } from 'node:url'
import formbody from '@fastify/formbody'
import fastifyStatic from '@fastify/static'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fastifyView from '@fastify/view'
import { Eta } from 'eta'
import { accountPages } from './account.ts'
import { accountTokenPages } from './account-tokens.ts'
import { allowedAppPages } from './allowed-apps.ts'
import { buyPages } from './buy.ts'
import { consentPages } from './consent.ts'
import { consolePages } from './console/index.ts'
import { creditHistoryPages } from './credit-history.ts'
import { devicePages } from './device.ts'
import { docPages } from './doc-pages.ts'
import { grantPages } from './grant.ts'
import { answerUnknown, sendErrorPage } from './page.ts'
import { signinPages } from './signin.ts'
import { usagePages } from './usage.ts'

const VIEWS = fileURLToPath(new URL('../../../views', import.meta.url))

/** The pages for people: HTML made on the server, one stylesheet, and a small script where a page needs one. */
export const pageRoutes: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(fastifyView, {
    engine: { eta: new Eta({ views: VIEWS, cache: true }) },
    root: VIEWS,
    viewExt: 'eta',
  })
  await app.register(fastifyStatic, { root: `${VIEWS}/assets`, prefix: '/assets/', decorateReply: false, index: false })
  await app.register(formbody)
  app.setErrorHandler(sendErrorPage)
  // For every path that has no route, those of the API included: only this plugin can render a page.
  app.setNotFoundHandler(answerUnknown)

  app.get('/', { schema: { hide: true } }, async (_, reply) => reply.redirect('/account', 303))
  await app.register(signinPages)
  await app.register(accountPages)
  await app.register(accountTokenPages)
  await app.register(allowedAppPages)
  await app.register(buyPages)
  await app.register(creditHistoryPages)
  await app.register(usagePages)
  await app.register(devicePages)
  await app.register(consentPages)
  await app.register(docPages)
  await app.register(consolePages)
  await app.register(grantPages)
}
