import { processConfig } from '../config.ts'
import { connectForMigration } from '../db/connect.ts'
import { CannotShard, shard } from '../db/shard.ts'
import { runCommand } from './run-command.ts'

/** `npm run shard`: distributes the tables of MIGRATE_DATABASE_URL, else of DATABASE_URL, over a Citus cluster. */
await runCommand(async () => {
  const { database } = processConfig()
  const url = database.migrateUrl ?? database.url
  if (!url) throw new CannotShard('Set DATABASE_URL to the coordinator of a Citus cluster.')
  const db = connectForMigration(url, database.sessionOptions)
  try {
    const placed = await shard(db)
    console.log(placed.length ? `Placed on the nodes: ${placed.join(', ')}` : 'Every table has its place already.')
    return 0
  } finally {
    await db.destroy()
  }
})
