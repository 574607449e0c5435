import { processConfig } from '../config.ts'
import { connect, connectForMigration } from '../db/connect.ts'
import { migrateToLatest, waitForDatabase } from '../db/migrate.ts'
import { rethrow, runCommand } from './run-command.ts'

/** `npm run migrate`: migrates the database of MIGRATE_DATABASE_URL, else that of DATABASE_URL, else PGlite's. */
await runCommand(async () => {
  const { database } = processConfig()
  const url = database.migrateUrl ?? database.url
  const db = url
    ? connectForMigration(url, database.sessionOptions)
    : await connect(database, { lostConnection: rethrow, lostFolder: rethrow })
  try {
    await waitForDatabase(db, console.error)
    const ran = await migrateToLatest(db)
    console.log(ran.length ? `Migrated: ${ran.join(', ')}` : 'The schema is up to date.')
    return 0
  } finally {
    await db.destroy()
  }
})
