import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { buildProgram } from '../../cli/src/program.ts'
import { operations } from '../support/document.ts'

/** Why a route of administrators has no command of its own. */
const WITHOUT: Record<string, string> = {
  listAccountJobs: '`focus admin jobs --account` lists the same by listAllJobs',
}

const admin = operations.filter(({ path }) => path.startsWith('/api/admin/'))
const shapeOf = (path: string) => new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`)
// Literal paths come first, as in the router.
const byPath = admin.toSorted((a, b) => Number(a.path.includes('{')) - Number(b.path.includes('{')))

/** The words of a command line of an example. */
const wordsOf = (example: string) =>
  [...example.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')

t.test('every route of administrators has a command, which the help shows an example of', async (t) => {
  const asked = new Set<string>()
  const server = createServer((request, response) => {
    const pathname = new URL(request.url ?? '', 'http://localhost').pathname
    const found = byPath.find(({ method, path }) => method === request.method && shapeOf(path).test(pathname))
    const [status, success] = Object.entries(found?.operation.responses ?? {}).find(([code]) => code < '300') ?? []
    asked.add(found?.operation.operationId ?? `${request.method} ${pathname}`)
    const content = Object.entries(success?.content ?? {})[0]
    const { example } = content?.[1] ?? {}
    response.writeHead(Number(status ?? 404), { 'content-type': content?.[0] ?? 'application/json' })
    response.end(example === undefined ? undefined : typeof example === 'string' ? example : JSON.stringify(example))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const environment = { ...process.env, FOCUS_SERVER: `http://localhost:${port}`, FOCUS_TOKEN: 'focus_pat_x' }
  t.intercept(process, 'env', { value: environment })

  const leaves = [buildProgram().commands.find((command) => command.name() === 'admin')].filter((found) => !!found)
  for (const command of leaves) {
    leaves.push(...command.commands)
    if (command.commands.length) continue
    let help = ''
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
    for (const [, example = ''] of help.matchAll(/^ {2}\$ focus (.+)$/gm)) {
      const written = [process.stdout, process.stderr].map((stream) => t.capture(stream, 'write', () => true))
      const failure = await buildProgram()
        .parseAsync(wordsOf(example.replace(/ > .*/, '')), { from: 'user' })
        .then(() => '')
        .catch((error: Error) => error.message)
        .finally(() => {
          for (const { restore } of written) restore()
        })
      // The document's delivery of a message is one that failed.
      t.equal(failure, example.includes('webhooks test') ? 'Answered 500.' : '', example)
    }
  }
  const missing = admin.map(({ operation: { operationId = '' } }) => operationId).filter((id) => !asked.has(id))
  t.strictSame(missing, Object.keys(WITHOUT))
})
