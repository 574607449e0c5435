import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { CODE, machine, serve } from '../support/cli.ts'
import { openGate } from '../support/gate.ts'
import { temporaryFolder } from '../support/process.ts'
import { behindProxy } from '../support/tls-proxy.ts'

const run = promisify(execFile)
const cli = fileURLToPath(new URL('../../cli', import.meta.url))

// The machine's own Node, not the one that the repository brings along.
const PATH = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => !/node_modules/.test(folder))
  .join(delimiter)
const node = PATH.split(delimiter)
  .map((folder) => join(folder, 'node'))
  .find((file) => existsSync(file))

/** The package, packed and installed in an empty folder. */
async function install(t: Test) {
  const folder = await temporaryFolder(t)
  // npm's own variables speak of the run that started this test, tap's hooks are for this test.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_(?!config_registry)|NODE_OPTIONS|TAP)/i.test(name)),
  )
  const npm = (args: string[], cwd: string) => run('npm', args, { cwd, env: { ...env, PATH } })
  await npm(['pack', '--pack-destination', folder], cli)
  const [tarball = ''] = await readdir(folder)
  await writeFile(join(folder, 'package.json'), '{"private":true}')
  await npm(['install', '--no-audit', '--no-fund', `./${tarball}`], folder)
  return { node: node ?? '', program: join(folder, 'node_modules/.bin/focus') }
}

t.test("the packed command line works on the machine's own Node, from login to logout", async (t) => {
  const installed = await install(t)
  t.comment(`Node ${(await run(installed.node, ['--version'])).stdout.trim()}`)
  const { admin, url } = await serve(t)
  const [root, gate] = [await admin(), await openGate(t, url)]
  const computer = await machine(t, { FOCUS_SERVER: gate.url, PATH }, installed)
  const login = computer.terminal(['login', '--scope', 'admin', '--no-browser'])
  const [, spaced = ''] = await login.shows(CODE)
  await root.postFromOurPage('/api/device/complete', { user_code: spaced })
  t.equal(await login.ended, 0, login.seen())

  const done = async (...args: string[]) => {
    const { code, stdout, stderr } = await computer.focus(args)
    t.equal(code, 0, `focus ${args.join(' ')}\n${stderr}`)
    return stdout
  }
  t.match(await done('whoami'), root.clerkId)
  await done('wallet', '--app', 'video')
  const id = (await done('jobs', 'create', '--app', 'video', '--action', 'render', '--cost', '5')).trim()
  t.match(await done('jobs', 'complete', id, '--cost', '3'), /^Moved +\+2 /m)
  t.match(await done('admin', 'verify'), /checks passed/)
  const there = await behindProxy(t)
  const byProxy = { FOCUS_SERVER: there.url, FOCUS_TOKEN: 'focus_pat_x', HTTPS_PROXY: there.proxy }
  const proxied = await computer.focus(['whoami', '--json'], { ...byProxy, NODE_EXTRA_CA_CERTS: there.ca })
  t.equal(proxied.code, 0, proxied.stderr)
  t.equal(there.asked[0], 'focus.test:443', 'by way of the proxy')
  await done('logout')
  t.equal((await computer.focus(['whoami'])).code, 4)
  t.match(await computer.focus(['jobs', 'lst']), { code: 2, stderr: /Did you mean list/ })
})
