import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { serve } from '../support/cli.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const guide = readFileSync(`${ROOT}docs/client.md`, 'utf8')

t.test("the guide's first app prints what the guide shows", async (t) => {
  const { url, person } = await serve(t)
  const { token } = await person()
  const [, app = ''] = /<<'EOF'\n([\s\S]*?)\nEOF\n/.exec(guide) ?? []
  const blocks = guide.split('```').filter((_, n) => n % 2 === 1)
  const outputs = blocks.filter((block) => block.startsWith('\n')).map((block) => block.slice(1))
  // It finds the library in this repository. Without a file, the first argument is argv[1].
  const source = app.replaceAll('http://localhost:3000', url).replace('process.argv[2]', 'process.argv[1]')
  const env = { PATH: process.env.PATH, FOCUS_TOKEN: token }
  const said = async (...args: string[]) => {
    const run = ['--input-type=module', '-e', source, '--', ...args]
    const { stdout } = await promisify(execFile)(process.execPath, run, { cwd: ROOT, env })
    return stdout.replaceAll(url, 'http://localhost:3000')
  }
  t.equal(await said(), outputs[0])
  t.equal(await said('50'), outputs[1])
})
