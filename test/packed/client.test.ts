import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { serve } from '../support/cli.ts'
import { install, machineNode, run } from '../support/packed.ts'
import { personWith } from '../support/start.ts'

/** An app as its developer writes it. What must not compile is marked. */
const APP = `
import { createFocus, FocusError, type HeldJob, InsufficientCredits, type Schemas, SettleUnknown, verifyWebhook } from '@thefocus/client'
import { createFocusAdmin } from '@thefocus/client/admin'
import { requireFocus } from '@thefocus/client/server'

declare const url: string, token: string, maybe: string | undefined
const focus = createFocus({ url, token, appKey: maybe, fetch: undefined })
const wallet: Schemas['WalletResponse'] = await focus.getWallet({ app: maybe })
const credits: number = wallet.account.credits
const film: string = await focus.withHold({ app: 'video', action: 'render', estimate: 5, maxCost: undefined }, async (job: HeldJob) => {
  job.cost(3)
  return 'film'
})
for await (const job of focus.jobs({ status: 'failed', app: maybe })) {
  const id: string = job.id
  // @ts-expect-error a job has no such field
  job.price
}
// @ts-expect-error cost_estimate is missing
await focus.createJob({ app: 'video', action: 'render' })
// @ts-expect-error there is no such status
focus.jobs({ status: 'lost' })
// @ts-expect-error for administrators
focus.verifyLedger
const page: string = focus.openSignInPage({ redirect_to: url })
const ok: boolean = (await createFocusAdmin({ url, token }).verifyLedger()).ok
try {
  await focus.completeJob({ job_id: 'x', actual_cost: 1, metadata: { a: 1 } }, { signal: AbortSignal.timeout(1_000) })
} catch (error) {
  if (error instanceof InsufficientCredits) console.log(error.required, error.available, error.buyUrl)
  else if (error instanceof SettleUnknown) await focus.resume(error.token)
  else if (error instanceof FocusError && error.code === 'job_not_found') console.log(error.requestId)
}
const event = await verifyWebhook({ headers: {}, body: '' }, ['whsec_1', 'whsec_2'])
if (event.type === 'job.completed') console.log(event.data.job.actual_cost)
const guard = requireFocus({ url })
export default { fetch: guard.fetch((request, caller) => Response.json([request.url, caller.accountId, credits, film, page, ok])) }
`

const RUN = `
import { createFocus, InsufficientCredits, verifyWebhook } from '@thefocus/client'
import { createFocusAdmin } from '@thefocus/client/admin'
import { requireFocus } from '@thefocus/client/server'

const [url, token] = process.argv.slice(2)
const focus = createFocus({ url, token })
const value = await focus.withHold({ app: 'video', action: 'render', estimate: 5 }, (job) => { job.cost(3); return 'film' })
const short = await focus.withHold({ app: 'video', action: 'render', estimate: 500 }, () => 'free').catch((error) => error)
const costs = []
for await (const job of focus.jobs({ limit: 1 })) costs.push(job.actual_cost)
const caller = await requireFocus({ url }).identify('Bearer ' + token)
const refused = await createFocusAdmin({ url, token }).verifyLedger().catch((error) => error.code)
const forged = await verifyWebhook({ headers: {}, body: '' }, 'whsec_AAAA').catch((error) => error.code)
console.log(JSON.stringify({ value, short: short instanceof InsufficientCredits, costs, id: caller.accountId, refused, forged }))
`

t.test('the packed library compiles strictly, and runs on the oldest and the newest Node', async (t) => {
  const folder = await install(t, 'client')
  const installed = join(folder, 'node_modules/@thefocus/client')
  const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
  t.same(manifest.dependencies ?? {}, {})
  t.equal(manifest.exports['.'].default, './dist/index.js')
  const sources = fileURLToPath(new URL('../../client/package.json', import.meta.url))
  t.equal(JSON.parse(await readFile(sources, 'utf8')).exports['.'], './src/index.ts', 'as it was, after packing')

  await writeFile(join(folder, 'app.ts'), APP)
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const strict = {
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false },
    ...{ noEmit: true, target: 'es2022', module: 'nodenext' },
  }
  const typeRoots = [join(root, 'node_modules/@types')]
  for (const [name, options] of Object.entries({
    browser: { types: [], lib: ['es2023', 'dom'] },
    node: { types: ['node'], typeRoots, lib: ['es2023'], skipLibCheck: true },
    bundler: { types: [], module: 'esnext', moduleResolution: 'bundler' },
  })) {
    const config = join(folder, `tsconfig.${name}.json`)
    await writeFile(config, JSON.stringify({ compilerOptions: { ...strict, ...options }, files: ['app.ts'] }))
    const tsc = join(root, 'client/node_modules/typescript/bin/tsc')
    const compiled = await run(process.execPath, [tsc, '-p', config]).then(
      () => '',
      ({ stdout }) => stdout as string,
    )
    t.equal(compiled, '', name)
  }

  await writeFile(join(folder, 'run.js'), RUN)
  const service = await serve(t)
  for (const node of [machineNode, process.execPath]) {
    t.comment((await run(node, ['--version'])).stdout.trim())
    const person = await personWith(service.app, 20)
    const { stdout } = await run(node, ['run.js', service.url, person.token], { cwd: folder })
    t.same(JSON.parse(stdout), {
      ...{ value: 'film', short: true, costs: [3], id: person.id },
      ...{ refused: 'not_an_administrator', forged: 'invalid_signature' },
    })
  }
})
