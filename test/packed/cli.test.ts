import { join } from 'node:path'
import t from 'tap'
import { CODE, machine, serve } from '../support/cli.ts'
import { openGate } from '../support/gate.ts'
import { install, machineNode, PATH, run } from '../support/packed.ts'
import { behindProxy } from '../support/tls-proxy.ts'

t.test("the packed command line works on the machine's own Node, from login to logout", async (t) => {
  const program = join(await install(t, 'cli'), 'node_modules/.bin/focus')
  const installed = { node: machineNode, program }
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
