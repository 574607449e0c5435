/** `npm run openapi`: writes openapi.snapshot.json from what the service would serve. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { connect } from '../../src/db/connect.ts'
import { migrateToLatest } from '../../src/db/migrate.ts'

const folder = await mkdtemp(join(tmpdir(), 'focus-openapi-'))
const config = readConfig({ DATA_DIR: folder })
const rethrow = (error: Error) => {
  throw error
}
const db = await connect(config.database, { lostConnection: rethrow, lostFolder: rethrow })
await migrateToLatest(db)
const app = await buildApp(config, db)
await app.ready()
await writeFile(new URL('../../openapi.snapshot.json', import.meta.url), `${JSON.stringify(app.swagger(), null, 2)}\n`)
await app.close()
await db.destroy()
await rm(folder, { recursive: true })
console.log('Wrote openapi.snapshot.json')
