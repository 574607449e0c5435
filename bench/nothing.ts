/** A route that does nothing, in a Fastify without plugins: the upper limit for any route of the service. */
import Fastify from 'fastify'

const app = Fastify()
app.get('/', async () => ({ status: 'ok' }))
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
process.once('SIGTERM', () => app.close())
