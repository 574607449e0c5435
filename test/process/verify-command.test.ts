import { execFile } from 'node:child_process'
import t from 'tap'
import { freshDatabase, query } from '../support/database.ts'

/** Runs `npm run verify` as an operator would, apart from npm. */
function verify(env: Record<string, string>): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    // Inside a test, tap has put its own hooks into NODE_OPTIONS.
    const options = { env: { ...process.env, NODE_OPTIONS: '', ...env } }
    execFile(process.execPath, ['src/commands/run-verify.ts'], options, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    )
  })
}

t.test('npm run verify ends with 0 while the ledger is right, and with 1 and a table where it is not', async (t) => {
  const { url, drop } = await freshDatabase()
  t.teardown(drop)
  const right = await verify({ DATABASE_URL: url })
  t.match(right, { code: 0, out: /The ledger is right: all 15 checks hold\./, err: '' })

  await query(
    url,
    `insert into accounts (id, clerk_id, credits, held) values ('00000000-0000-4000-8000-000000000001', 'user_ada', 5, 2)`,
  )
  const broken = await verify({ DATABASE_URL: url })
  t.equal(broken.code, 1)
  t.match(broken.err, /3 of 15 checks do not hold/)
  t.match(broken.out, /1\. credits equal the sum of the entries.*│ 1/)
  t.match(broken.out, /3\. held equals what the started jobs reserve.*│ 1/)
  t.match(broken.out, /00000000-0000-4000-8000-000000000001/)
  t.notMatch(broken.out, /no job was reserved below zero/)
})

t.test('npm run verify ends with 2 and a sentence where it could not look', async (t) => {
  const away = await verify({ DATABASE_URL: 'postgres://focus:secret@127.0.0.1:1/focus' })
  t.equal(away.code, 2)
  t.match(away.err, /^database unavailable: .*ECONNREFUSED/)
  t.notMatch(away.err, /secret/)
  const odd = await verify({ DATABASE_URL: 'mysql://x' })
  t.match(odd, { code: 2, err: /DATABASE_URL must be a postgres:\/\/ URL/ })
})
