import { processConfig } from '../config.ts'
import { connect } from '../db/connect.ts'
import { type Verification, verify } from '../ledger/verify.ts'
import { keepCheck } from '../operator/verification.ts'
import { rethrow, runCommand } from './run-command.ts'

/**
 * `npm run verify`: checks every invariant of the ledger. Exit code 0: all hold; 1: one does not, with a table of what is
 * broken, by the numbers of docs/ledger.md; 2: the ledger could not be read.
 */
await runCommand(async () => {
  const db = await connect(processConfig().database, { lostConnection: () => {}, lostFolder: rethrow })
  try {
    const result = await verify(db)
    await keepCheck(db, result).catch((error) => console.error(`The result is not in the overview: ${error.message}`))
    return report(result)
  } finally {
    await db.destroy()
  }
}, 2)

function report({ ok, checks }: Verification): number {
  if (ok) {
    console.log(`The ledger is right: all ${checks.length} checks hold.`)
    return 0
  }
  const broken = checks
    .map(({ name, ...check }, i) => ({ check: `${i + 1}. ${name}`, ...check }))
    .filter(({ violations }) => violations > 0)
  console.error(`The ledger is broken: ${broken.length} of ${checks.length} checks do not hold. See docs/ledger.md.`)
  console.table(broken.map(({ check, violations }) => ({ check, violations })))
  for (const { check, examples, meaning, remedy } of broken) {
    console.log(`\n${check}\n   ${meaning}\n   What to do: ${remedy}\n   For example:`)
    console.table(examples)
  }
  return 1
}
