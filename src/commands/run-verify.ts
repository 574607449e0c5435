import { processConfig } from '../config.ts'
import { connect } from '../db/connect.ts'
import { type Verification, verify } from '../ledger/verify.ts'
import { rethrow, runCommand } from './run-command.ts'

/**
 * `npm run verify`: checks every invariant of the ledger. Exit code 0: all hold; 1: one does not, with a table of what is
 * broken; 2: the database could not be read.
 */
await runCommand(async () => {
  const db = await connect(processConfig().database, { lostConnection: () => {}, lostFolder: rethrow })
  try {
    return report(await verify(db))
  } finally {
    await db.destroy()
  }
}, 2)

function report({ ok, checks }: Verification): number {
  if (ok) {
    console.log(`The ledger is right: all ${checks.length} checks hold.`)
    return 0
  }
  const broken = checks.filter(({ violations }) => violations > 0)
  console.error(`The ledger is broken: ${broken.length} of ${checks.length} checks do not hold. See docs/ledger.md.`)
  console.table(broken.map(({ name, violations }) => ({ check: name, violations })))
  for (const { name, examples } of broken) {
    console.log(`\n${name}, for example:`)
    console.table(examples)
  }
  return 1
}
