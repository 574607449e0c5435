import { randomUUID } from 'node:crypto'
import accepts from '@fastify/accepts'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyBaseLogger, type FastifyServerOptions, LogController } from 'fastify'
import type { Caller } from './access/caller.ts'
import { createOrigins, type Origins } from './access/origins.ts'
import { type SealedBox, sealedBox } from './access/sealed-box.ts'
import type { ServiceKey } from './access/service-keys.ts'
import { type SessionSeal, sessionSeal } from './access/sessions.ts'
import { type Pats, rememberPats, tokenSecret } from './access/tokens.ts'
import type { Config } from './config.ts'
import { connectForPosting, poolUse } from './db/connect.ts'
import { gatheredReads } from './db/gather.ts'
import type { Db } from './db/tables.ts'
import { registerClientAddress } from './http/client-address.ts'
import { schemaController } from './http/compilers.ts'
import { boundConnections } from './http/connections.ts'
import { noteInexactMetadata } from './http/digits.ts'
import { registerDocs } from './http/docs.ts'
import { registerDraining } from './http/draining.ts'
import { refuseUnreadable, sendFrameworkError, setErrorHandlers } from './http/error-handler.ts'
import { EXPOSED_HEADERS, refuseSeveralHosts, setCommonHeaders, warnOfForwarded } from './http/headers.ts'
import { registerKnownPaths } from './http/known-paths.ts'
import { registerLargeAnswers } from './http/large-answers.ts'
import { registerLimits } from './http/limits.ts'
import { refuseUnderOverload, registerLoad } from './http/overload.ts'
import { refuseSlips } from './http/slips.ts'
import { refuseUnstorable } from './http/validation.ts'
import { createIdentity } from './identity/create.ts'
import { answerBy } from './identity/deadline.ts'
import { onlyThisMachine } from './identity/local-fence.ts'
import type { Identity } from './identity/types.ts'
import type { Ledger } from './ledger/operations.ts'
import { createPoster } from './ledger/poster.ts'
import { type ClientDocuments, rememberDocuments } from './oauth/client-documents.ts'
import { type Metrics, noMetrics } from './observe/metrics.ts'
import type { Tracing } from './observe/tracing.ts'
import { createPayments } from './payments/create.ts'
import type { Payments } from './payments/types.ts'
import { adminRoutes } from './routes/admin.ts'
import { adminAccountRoutes } from './routes/admin-accounts.ts'
import { adminAppRoutes } from './routes/admin-apps.ts'
import { adminCredentialRoutes } from './routes/admin-credentials.ts'
import { adminJobRoutes } from './routes/admin-jobs.ts'
import { adminKeyRoutes } from './routes/admin-keys.ts'
import { adminOverviewRoutes } from './routes/admin-overview.ts'
import { adminPurchaseRoutes } from './routes/admin-purchases.ts'
import { adminWebhookMessageRoutes } from './routes/admin-webhook-messages.ts'
import { adminWebhookRoutes } from './routes/admin-webhooks.ts'
import { authRoutes } from './routes/auth.ts'
import { authorizationServerRoutes } from './routes/authorization-server.ts'
import { deviceRoutes } from './routes/device.ts'
import { grantRoutes } from './routes/grants.ts'
import { healthRoutes } from './routes/health.ts'
import { jobRoutes } from './routes/jobs.ts'
import { oauthRoutes } from './routes/oauth.ts'
import { packRoutes } from './routes/packs.ts'
import { pageRoutes } from './routes/pages/index.ts'
import { paymentEventRoutes } from './routes/payment-events.ts'
import { purchaseRoutes } from './routes/purchases.ts'
import { settleRoutes } from './routes/settle.ts'
import { tokenRoutes } from './routes/tokens.ts'
import { usageRoutes } from './routes/usage.ts'
import { walletRoutes } from './routes/wallet.ts'
import { webhookRoutes } from './routes/webhooks.ts'
import { components } from './schemas/components.ts'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
    db: Db
    ledger: Ledger
    identity: Identity
    pats: Pats
    sessionSeal: SessionSeal
    /** Seals what a page of the console says after a change: routes/pages/console/notice.ts */
    noticeSeal: SessionSeal
    /** Seals what a form of the console asks for until it is confirmed: routes/pages/console/drafts.ts */
    draftBox: SealedBox
    origins: Origins
    clientDocuments: ClientDocuments
    metrics: Metrics
    /** undefined: this service sells no credits */
    payments: Payments | undefined
  }
  interface FastifyRequest {
    /** Set by the hooks of access/caller.ts; read it by `callerOf` */
    account: Caller | undefined
    /** When the identity provider must have answered, in ms since 1970; set by the first hooks */
    deadline: number | undefined
    /** Set by the hooks of access/settle-keys.ts; read it by `appOfKey` */
    appOfKey: string | null | undefined
    /** Set by requireAdminOrKey, where the request shows one */
    serviceKey: ServiceKey | undefined
    /** The code of the error that was sent; '': none */
    failure: string
  }
}

/**
 * Builds the service: everything it is made of stands in this list. It starts nothing: the listener and the background jobs
 * are started by start.ts.
 * @param db migrated; opened by `connect`, it is the caller's to close
 * @param how `log` is the log of the process, `logger` makes one as Fastify takes it; absent: no log.
 */
export async function buildApp(
  config: Config,
  db: Db,
  how: {
    log?: FastifyBaseLogger
    logger?: FastifyServerOptions['logger']
    tracing?: Tracing | undefined
  } = {},
) {
  const connections = boundConnections({ headersTimeout: 20_000, connectionsCheckingInterval: 1_000 })
  const app = Fastify({
    ...(how.log ? { loggerInstance: how.log } : { logger: how.logger ?? false }),
    bodyLimit: 65_536,
    // A request must arrive whole within this time. Fastify turns Node's own time-out off; Node checks once a second.
    requestTimeout: 30_000,
    keepAliveTimeout: config.keepAliveSeconds * 1000,
    serverFactory: connections.serverFactory,
    // Requests on open connections are answered while the service closes.
    return503OnClosing: false,
    clientErrorHandler: refuseUnreadable,
    genReqId: () => randomUUID(),
    // A log line per request costs more than the request. LOG_LEVEL=debug turns it on.
    logController: new LogController({
      disableRequestLogging: !['debug', 'trace'].includes(config.logLevel),
      requestIdLogLabel: 'request_id',
    }),
    // "__proto__" is a legal key of metadata. JSON.parse makes it a plain property, and bodies are never merged here.
    onProtoPoisoning: 'ignore',
    onConstructorPoisoning: 'ignore',
    // For paths that the router cannot decode: they do not reach the error handler.
    frameworkErrors: sendFrameworkError,
    schemaController,
  }).withTypeProvider<TypeBoxTypeProvider>()

  // What the hooks and routes below use. Tracing comes first, so that its spans cover every hook.
  if (how.tracing) await app.register(how.tracing.plugin)
  app.decorate('config', config)
  app.decorate('db', db)
  registerLoad(app)
  const pool = poolUse(db)
  if (pool) app.load.watch('database', pool)
  app.load.watch('reads', gatheredReads(db))
  app.decorate(
    'metrics',
    config.metricsPort ? (await import('./observe/prometheus.ts')).prometheusMetrics(app) : noMetrics,
  )
  const ledger = createPoster(db, connectForPosting(config.database, db), app.metrics.batch)
  app.decorate('ledger', how.tracing?.posting(ledger) ?? ledger)
  app.load.watch('ledger', ledger)
  app.addHook('onClose', () => ledger.close())
  app.decorate('payments', await createPayments(config, app))
  app.decorate('identity', await createIdentity(config, db, app.log, app.metrics))
  app.decorate('pats', rememberPats(db, app.identity.mode))
  const secret = await tokenSecret(config, db)
  app.decorate('sessionSeal', sessionSeal(secret))
  app.decorate('noticeSeal', sessionSeal(secret, 'notice'))
  app.decorate('draftBox', sealedBox(secret, 'draft'))
  app.decorate('origins', createOrigins(config, db))
  await app.origins.refresh()
  app.decorate('clientDocuments', rememberDocuments(config, db, app.log))
  registerClientAddress(app)
  registerKnownPaths(app)
  app.decorateRequest('account')
  app.decorateRequest('deadline')
  app.decorateRequest('appOfKey')
  app.decorateRequest('serviceKey')
  app.decorateRequest('failure', '')
  setErrorHandlers(app)
  registerDraining(app)
  connections.register(app)
  // Without Fastify's parser for plain text, such a body is answered 415 and not 400.
  app.removeContentTypeParser('text/plain')
  noteInexactMetadata(app)

  // Hooks run in the order of this list. Headers come first, so that a refusal by any later hook carries them and a browser
  // app on another origin can read it.
  app.addHook('onRequest', setCommonHeaders(config))
  app.addHook('onRequest', refuseSeveralHosts)
  // Before CORS, which answers preflight requests by itself.
  if (app.identity.mode === 'local' && config.localIdentity === 'loopback') app.addHook('onRequest', onlyThisMachine)
  await app.register(cors, {
    origin: (origin, allow) => allow(null, origin !== undefined && app.origins.isAllowed(origin)),
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: EXPOSED_HEADERS,
    // Without it, OPTIONS that is no preflight gets a text of the plugin's own.
    strictPreflight: false,
    maxAge: 600,
  })
  if (!config.trustProxy.length) app.addHook('onRequest', warnOfForwarded(app.log))
  // Before anything that costs a query or a signature check.
  refuseUnderOverload(app)
  app.addHook('onRequest', (request, _reply, next) => {
    request.deadline = answerBy()
    next()
  })
  await app.register(cookie)
  await app.register(accepts)
  // Adds the limit behind each route's own hooks, which find out who is asking; hence before the routes.
  await registerLimits(app)
  registerLargeAnswers(app)
  // Postgres stores neither NUL nor half a surrogate pair: a request that has one is refused before its schema is checked.
  app.addHook('preValidation', refuseUnstorable)

  for (const component of components) app.addSchema(component)
  refuseSlips(app)
  await registerDocs(app)
  await app.register(healthRoutes)
  await app.register(authRoutes)
  await app.register(tokenRoutes)
  await app.register(grantRoutes)
  await app.register(walletRoutes)
  await app.register(jobRoutes)
  await app.register(usageRoutes)
  await app.register(deviceRoutes)
  await app.register(authorizationServerRoutes)
  await app.register(oauthRoutes)
  await app.register(settleRoutes)
  await app.register(adminRoutes)
  await app.register(adminAccountRoutes)
  await app.register(adminCredentialRoutes)
  await app.register(adminAppRoutes)
  await app.register(adminJobRoutes)
  await app.register(adminKeyRoutes)
  await app.register(adminOverviewRoutes)
  await app.register(packRoutes)
  await app.register(adminPurchaseRoutes)
  await app.register(purchaseRoutes)
  await app.register(webhookRoutes)
  await app.register(paymentEventRoutes)
  await app.register(adminWebhookRoutes)
  await app.register(adminWebhookMessageRoutes)
  await app.register(pageRoutes)
  return app
}
