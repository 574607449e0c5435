import { randomUUID } from 'node:crypto'
import accepts from '@fastify/accepts'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyBaseLogger, type FastifyServerOptions, LogController } from 'fastify'
import type { Caller } from './access/caller.ts'
import { createOrigins, type Origins } from './access/origins.ts'
import { type Pats, rememberPats } from './access/tokens.ts'
import { startCleaning } from './background/clean-up.ts'
import { startDispatcher } from './background/deliver-webhooks.ts'
import type { Config } from './config.ts'
import { connectForPosting, poolUse } from './db/connect.ts'
import type { Db } from './db/tables.ts'
import { schemaController } from './http/compilers.ts'
import { registerDocs } from './http/docs.ts'
import { registerDraining } from './http/draining.ts'
import { refuseUnreadable, sendFrameworkError, setErrorHandlers } from './http/errors.ts'
import { noteForwarded } from './http/forwarded.ts'
import { registerSafetyHeaders } from './http/headers.ts'
import { registerLimits } from './http/limits.ts'
import { registerLoad } from './http/overload.ts'
import { refuseUnstorable } from './http/validation.ts'
import { answerBy } from './identity/deadline.ts'
import { onlyThisMachine } from './identity/local-fence.ts'
import { createIdentity, type Identity } from './identity/types.ts'
import { postInBatches } from './ledger/batch.ts'
import { startSweeper } from './ledger/expire.ts'
import { type Ledger, postingSingly } from './ledger/posting.ts'
import { registerMetrics } from './observe/metrics.ts'
import type { Tracing } from './observe/tracing.ts'
import { adminRoutes } from './routes/admin.ts'
import { adminWebhookRoutes } from './routes/admin-webhooks.ts'
import { authRoutes } from './routes/auth.ts'
import { deviceRoutes } from './routes/device.ts'
import { healthRoutes } from './routes/health.ts'
import { jobRoutes } from './routes/jobs.ts'
import { oauthRoutes } from './routes/oauth.ts'
import { pageRoutes } from './routes/pages/index.ts'
import { settleRoutes } from './routes/settle.ts'
import { tokenRoutes } from './routes/tokens.ts'
import { walletRoutes } from './routes/wallet.ts'
import { webhookRoutes } from './routes/webhooks.ts'
import { components } from './schemas/all.ts'
import { readEndpoints } from './webhooks/outbox.ts'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
    db: Db
    ledger: Ledger
    identity: Identity
    pats: Pats
    origins: Origins
  }
  interface FastifyRequest {
    account: Caller
    /** When what is asked of the identity for this request has to be answered, in ms since 1970 */
    deadline: number
    /** The app whose settle key the request shows */
    keyOf: string | null
    /** The code of the error that was answered; '': none */
    failure: string
  }
}

/**
 * The whole service, apart from its listener: everything it is made of stands in this list.
 * @param db migrated; opened by `connect`, it is the caller's to close
 * @param how `log` is the log of the process, `logger` makes one as Fastify takes it; absent: no log. `batches: false`
 *   posts every operation by itself, for measuring and testing
 */
export async function buildApp(
  config: Config,
  db: Db,
  how: {
    log?: FastifyBaseLogger
    logger?: FastifyServerOptions['logger']
    tracing?: Tracing | undefined
    batches?: boolean
  } = {},
) {
  const app = Fastify({
    ...(how.log ? { loggerInstance: how.log } : { logger: how.logger ?? false }),
    bodyLimit: 65_536,
    // Fastify turns Node's off; a request that is not here by then never will be. Node looks from time to time.
    requestTimeout: 30_000,
    http: { headersTimeout: 20_000, connectionsCheckingInterval: 1_000 },
    // What still comes on a living connection while we close is answered, not refused.
    return503OnClosing: false,
    clientErrorHandler: refuseUnreadable,
    trustProxy: config.trustProxy.length ? config.trustProxy : false,
    genReqId: () => randomUUID(),
    // A line per request costs more than the request; ask for it with LOG_LEVEL=debug.
    logController: new LogController({
      disableRequestLogging: !['debug', 'trace'].includes(config.logLevel),
      requestIdLogLabel: 'request_id',
    }),
    // "__proto__" is a legal key of somebody's metadata. JSON.parse makes it a plain property, and we never merge bodies.
    onProtoPoisoning: 'ignore',
    onConstructorPoisoning: 'ignore',
    // Paths that the router cannot read come before our error handler.
    frameworkErrors: sendFrameworkError,
    schemaController,
  }).withTypeProvider<TypeBoxTypeProvider>()

  const origins = createOrigins(config, db)
  if (how.tracing) await app.register(how.tracing.plugin)
  app.decorate('config', config)
  app.decorate('db', db)
  registerLoad(app)
  const pool = poolUse(db)
  if (pool) app.load.watch('database', pool)
  await registerMetrics(app)
  const post =
    how.batches === false
      ? postingSingly(db)
      : postInBatches(db, connectForPosting(config.database, db), app.metrics.batch)
  app.decorate('ledger', { db, post: how.tracing?.posting(post) ?? post })
  app.load.watch('ledger', post)
  app.addHook('onClose', () => post.close())
  app.decorate('identity', await createIdentity(config, db, app.log, app.metrics))
  app.decorate('pats', rememberPats(db))
  app.decorate('origins', origins)
  app.decorateRequest('account')
  app.decorateRequest('deadline', 0)
  app.decorateRequest('keyOf', null)
  app.decorateRequest('failure', '')
  setErrorHandlers(app)
  // Fastify's own parser for plain text would make a 400 of what is a 415.
  app.removeContentTypeParser('text/plain')

  await origins.refresh()
  origins.watch((error) =>
    app.log.warn({ err: error }, "could not read the apps' origins; those of before stay allowed"),
  )
  app.addHook('onClose', async () => origins.stop())
  const warn = (message: string) => (error: Error, job?: object) => app.log.warn({ err: error, ...job }, message)
  app.addHook('onClose', startCleaning(db, warn('could not delete old rows')))
  app.addHook('onClose', startSweeper(db, warn('could not give back a hold'), app.metrics.expired))
  await readEndpoints(db)
  app.addHook('onClose', startDispatcher(db, config.production, warn('could not deliver webhooks')))

  registerDraining(app)
  app.addHook('onRequest', (request, reply, next) => {
    request.deadline = answerBy()
    reply.header('x-request-id', request.id)
    next()
  })
  if (!config.trustProxy.length) app.addHook('onRequest', noteForwarded(app.log))
  if (app.identity.mode === 'local' && config.localIdentity === 'loopback') app.addHook('onRequest', onlyThisMachine)
  app.addHook('preValidation', refuseUnstorable)

  await registerSafetyHeaders(app, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
    },
    strictTransportSecurity: config.publicUrl.startsWith('https:'),
    referrerPolicy: { policy: 'same-origin' },
  })
  await app.register(cors, {
    origin: (origin, allow) => allow(null, origin !== undefined && origins.isAllowed(origin)),
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    exposedHeaders: [
      ...['Idempotency-Replayed', 'Retry-After', 'Link', 'X-Request-Id'],
      ...['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'],
    ],
    maxAge: 600,
  })
  await app.register(cookie)
  await app.register(accepts)
  await registerLimits(app)

  for (const component of components) app.addSchema(component)
  await registerDocs(app)
  await app.register(healthRoutes)
  await app.register(authRoutes)
  await app.register(tokenRoutes)
  await app.register(walletRoutes)
  await app.register(jobRoutes)
  await app.register(deviceRoutes)
  await app.register(oauthRoutes)
  await app.register(settleRoutes)
  await app.register(adminRoutes)
  await app.register(webhookRoutes)
  await app.register(adminWebhookRoutes)
  await app.register(pageRoutes)
  return app
}
