import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { badField, pageNotFound } from '../../../http/catalogue.ts'
import { pathOf, toApiError } from '../../../http/error-handler.ts'
import { sendErrorPage } from '../page.ts'
import { accountPages } from './account-pages.ts'
import { accountPartPages } from './account-parts.ts'
import { appPages } from './app-pages.ts'
import { auditPages } from './audit-pages.ts'
import { addConfirmation } from './changes.ts'
import { consolePage } from './frame.ts'
import { onlyAdministrators } from './gate.ts'
import { jobListPages } from './job-list.ts'
import { jobPages } from './job-pages.ts'
import { keyPages } from './key-pages.ts'
import { overviewPages } from './overview-pages.ts'
import { packPages } from './pack-pages.ts'
import { purchasePages } from './purchase-pages.ts'
import { searchPages } from './search-pages.ts'
import { verifyPages } from './verify-pages.ts'
import { webhookPages } from './webhook-pages.ts'

/** The operator's console: pages for administrators, made of the same reads and changes as the API of administrators. */
export const consolePages: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', onlyAdministrators)
  app.setErrorHandler(sendFault)
  app.decorate('consoleChanges', new Map())
  addConfirmation(app)
  await app.register(overviewPages)
  await app.register(accountPages)
  await app.register(accountPartPages)
  await app.register(jobPages)
  await app.register(jobListPages)
  await app.register(searchPages)
  await app.register(auditPages)
  await app.register(appPages)
  await app.register(keyPages)
  await app.register(packPages)
  await app.register(purchasePages)
  await app.register(verifyPages)
  await app.register(webhookPages)

  // For everybody else too, so that an unknown page of the console is told from a known one by administrators alone.
  app.get('/console/*', { schema: { hide: true } }, (request, reply) => {
    const path = pathOf(request)
    const slashless = path.replace(/\/+$/, '')
    if (slashless !== path) return reply.redirect(slashless + request.url.slice(path.length), 308)
    throw pageNotFound(path)
  })
}

/** Answers an error inside the frame of the console, which has the way back. */
function sendFault(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) {
  // Before the gate knows who it is.
  if (!request.account) return sendErrorPage(error, request, reply)
  const answer = toApiError(faultOfAddress(error, request), request)
  request.failure = answer.code
  if (answer.statusCode >= 500) request.log.error({ err: error }, answer.code)
  reply.code(answer.statusCode).headers(answer.headers)
  return consolePage(request, reply, 'fault', {
    title: answer.statusCode === 404 ? 'Not found' : 'That did not work',
    message: answer.message,
    request_id: request.id,
  })
}

/** Of an address: without the pattern that an id or a cursor does not match. */
function faultOfAddress(error: FastifyError | Error, request: FastifyRequest): FastifyError | Error {
  const { validation, validationContext } = error as FastifyError
  const [fault] = validation ?? []
  if (validationContext === 'params') return pageNotFound(pathOf(request))
  if (!fault || validationContext !== 'querystring' || fault.keyword === 'enum') return error
  const name = fault.instancePath.slice(1)
  return badField(name || 'The address', 'is not one that this page has. Follow a link, or choose anew')
}
