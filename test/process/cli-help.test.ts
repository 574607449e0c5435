import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { buildProgram } from '../../cli/src/program.ts'
import { machine } from '../support/cli.ts'

/** What the program prints and throws for these words, without a process of its own: there are many to ask. */
async function parse(t: Test, words: string[]) {
  let [stdout, stderr] = ['', '']
  const program = buildProgram()
  const all = [program]
  for (const command of all) {
    command.configureOutput({
      writeOut: (text) => {
        stdout += text
      },
      writeErr: (text) => {
        stderr += text
      },
      getOutHelpWidth: () => 80,
      getErrHelpWidth: () => 80,
    })
    all.push(...command.commands)
  }
  const thrown = await program.parseAsync(words, { from: 'user' }).then(
    () => t.fail(`${words.join(' ')} was taken for right`),
    (error: { message: string; exitCode: number }) => error,
  )
  return { stdout, stderr, thrown: thrown as { message: string; exitCode: number } }
}

const NO_PLACE = 'http://localhost:9'

t.test('wrong usage is explained, and nothing is sent', async (t) => {
  const job = '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'
  for (const [words, message] of [
    [['jobs', 'lst'], /\(Did you mean list\?\)\nTry: \S.* jobs --help/],
    [['wallets'], /^Error: unknown command 'wallets'\n\(Did you mean wallet\?\)/],
    [['job', 'list'], /\(Did you mean jobs\?\)/],
    [['admin', 'aps', 'list'], /\(Did you mean apps\?\)/],
    [['help', 'jbos'], /\(Did you mean jobs\?\)/],
    [['help', 'jobs', 'lst'], /\(Did you mean list\?\)/],
    [['help', 'nothing'], /^Error: unknown command 'nothing'/],
    [['wallet', '--ap', 'video'], /\(Did you mean --app\?\)\nTry: \S.* wallet --help/],
    [['jobs'], /^Usage: focus jobs <command>/],
    [['jobs', 'complete', job], /--cost/],
    [['jobs', 'complete', job, '--cost', '2.5'], /whole number/],
    [['jobs', 'complete', job, '--cost', '-1'], /must not be negative/],
    [['jobs', 'show', '..'], /^Error: .* must be an id/],
    [['wallet', '--app', 'No'], /lower case/],
    [['jobs', 'list', '--status', 'done'], /Allowed choices are started, completed, failed/],
    [['whoami', 'me'], /too many arguments/],
  ] as const) {
    const { stdout, stderr, thrown } = await parse(t, [...words])
    t.equal(stdout, '')
    t.match(stderr, message)
    t.not(thrown.exitCode, 0)
  }
  for (const [words, message] of [
    [['jobs', 'complete', job, '--cost', '3', '--metadata', '[1]'], /--metadata must be a JSON object/],
    [['login', '--scope', 'root'], /--scope must be of account, oauth, admin, not root/],
    [['whoami', '--server', 'focus'], /--server must be the address/],
    [['whoami', '--server', 'https://example.com/api'], /without user, path or query/],
    [['whoami', '--server', 'http://example.com'], /is not https/],
    [['whoami', '--server', 'http://127.0.0.1.example.com'], /is not https/],
  ] as const) {
    const { thrown } = await parse(t, ['--server', NO_PLACE, ...words])
    t.equal(thrown.exitCode, 2)
    t.match(thrown.message, message)
  }
})

t.test('wrong usage has exit code 2', async (t) => {
  const { focus } = await machine(t, { FOCUS_SERVER: 'ftp://example.com' })
  const [typed, set] = await Promise.all([focus(['jobs', 'lst']), focus(['whoami'])])
  t.match(typed, { code: 2, stdout: '' })
  t.match(set, { code: 2, stdout: '', stderr: /^Error: FOCUS_SERVER must be the address of a Focus API/ })
})

t.test('every command explains itself with an example', async (t) => {
  const program = buildProgram()
  const leaves = [program]
  for (const command of leaves) {
    const words = []
    for (let named = command; named.parent; named = named.parent) words.unshift(named.name())
    leaves.push(...command.commands)
    const { stdout } = await parse(t, [...words, '--help'])
    t.match(stdout, new RegExp(`^Usage: ${['focus', ...words].join(' ')}`))
    t.notMatch(stdout, /npx focus/, "that is somebody else's package")
    if (!command.commands.length) t.match(stdout, `\nExamples:\n  $ ${['focus', ...words].join(' ')}`)
  }
})

t.test('docs/cli.md lists every command that focus help does, in the same words', async (t) => {
  const { focus } = await machine(t)
  const [help, bare, version] = await Promise.all([focus(['help']), focus([]), focus(['--version'])])
  t.match(help, { code: 0, stderr: '' })
  t.strictSame(bare, help)
  const readme = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')
  const listed = [...readme.matchAll(/^\| `focus ([^`]+)` \| (.+) \|$/gm)].map(([, command, does]) => [command, does])
  const section = /^Commands:\n(.*?)\n\n/ms.exec(help.stdout)?.[1] ?? ''
  // A summary that is too long for its line goes on, far indented, in the next.
  const lines = section.replace(/\n {10,}/g, ' ').split('\n')
  t.strictSame(
    listed,
    lines.map((line) => line.trim().split(/ {2,}/)),
  )
  const manifest = readFileSync(new URL('../../cli/package.json', import.meta.url), 'utf8')
  t.equal(version.stdout, `${JSON.parse(manifest).version}\n`)
})
