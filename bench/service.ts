/**
 * The service with every posting a statement of its own, as it would be without batches: what they are compared with.
 * Otherwise what src/server.ts starts.
 */
import { buildApp } from '../src/app.ts'
import { processConfig } from '../src/config.ts'
import { connect } from '../src/db/connect.ts'

const fail = (error: Error) => {
  throw error
}
const config = processConfig()
const db = await connect(config.database, { lostConnection: fail, lostFolder: fail })
const app = await buildApp(config, db, false, { batches: false })
await app.listen({ host: config.host, port: config.port })
process.once('SIGTERM', async () => {
  await app.close()
  await db.destroy()
})
