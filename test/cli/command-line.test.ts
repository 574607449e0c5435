import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { quoted, run, startedAs } from '../../cli/src/command-line.ts'

t.test('hints name the command as it was started', async (t) => {
  const npm = { npm_config_user_agent: 'npm/11.2.0 node/v26.0.0 linux x64' }
  const pnpm = { npm_config_user_agent: 'pnpm/10.1.0 npm/? node/v20.0.0 linux x64' }
  for (const [program, env, expected] of [
    ['/usr/local/bin/focus', {}, 'focus'],
    ['/home/ada/api/node_modules/.bin/focus', npm, 'npx focus'],
    ['/home/ada/api/node_modules/.bin/focus', {}, 'npx focus'],
    ['/home/ada/.npm/_npx/ab12/node_modules/.bin/focus', npm, 'npx @thefocus/focus-cli'],
    ['/home/ada/api/node_modules/.bin/focus', pnpm, 'pnpm exec focus'],
    ['/home/ada/.cache/pnpm/dlx/x/node_modules/.bin/focus', pnpm, 'pnpm dlx @thefocus/focus-cli'],
    [
      '/home/ada/api/cli/bin/focus.js',
      { ...pnpm, npm_lifecycle_event: 'dev' },
      'pnpm --filter @thefocus/focus-cli dev',
    ],
    ['/home/ada/api/cli/bin/focus.js', {}, 'node api/cli/bin/focus.js'],
    ['/opt/focus/cli/bin/focus.js', {}, 'node /opt/focus/cli/bin/focus.js'],
    ['/opt/my tools/bin/focus.js', {}, "node '/opt/my tools/bin/focus.js'"],
    ['C:\\Users\\ada\\AppData\\npm\\node_modules\\@thefocus\\focus-cli\\bin\\focus.js', {}, 'focus'],
    ['C:\\api\\node_modules\\@thefocus\\focus-cli\\bin\\focus.js', npm, 'npx focus'],
  ] as [string, NodeJS.ProcessEnv, string][]) {
    t.equal(startedAs(program, env, '/home/ada'), expected, `${program} ${JSON.stringify(env)}`)
  }
})

t.test('a word in a hint is one word for the shell, whatever a server put into it', async (t) => {
  for (const word of [
    '',
    'a b',
    "it's",
    '$(touch owned)',
    '`id`',
    '; rm -rf ~',
    '!!',
    '"',
    '\\',
    '~',
    '*',
    '\u001b[2J',
    "'\\''",
  ]) {
    const [shell, ...args] = ['sh', '-c', `printf %s ${quoted(word, 'linux')}`]
    t.equal(execFileSync(shell, args, { encoding: 'utf8' }), word, JSON.stringify(word))
    t.equal(quoted(word, 'win32'), '<…>', 'Windows has two shells that quote differently')
  }
  for (const word of ['--cursor', 'https://account.example.com:8443', '0195a1f0-6b1c', '2026-11-21T12:00:00+01:00']) {
    for (const platform of ['linux', 'win32'] as const) t.equal(quoted(word, platform), word)
  }
  for (const word of ['admin,oauth', 'a@example.com', 'a=b', '100%']) t.equal(quoted(word, 'linux'), word)
  // cmd.exe replaces %PATH%; in PowerShell @args is a variable and a,b a list; batch files split words at commas and =.
  for (const word of ['%PATH%', '@args', 'a,b', 'a=b']) t.equal(quoted(word, 'win32'), '<…>', word)
  // zsh replaces =ls by the path of ls.
  t.equal(quoted('=ls', 'darwin'), "'=ls'")
  t.match(run('jobs', 'list', '--cursor', '$(id)'), / jobs list --cursor '\$\(id\)'$/)
})

t.test('the command line starts no shell, and prints by one function', async (t) => {
  const source = new URL('../../cli/', import.meta.url).pathname
  const files = readdirSync(join(source, 'src'), { recursive: true, encoding: 'utf8' }).map((name) =>
    join(source, 'src', name),
  )
  for (const file of [join(source, 'bin/focus.js'), ...files.filter((name) => name.endsWith('.ts'))]) {
    const text = readFileSync(file, 'utf8')
    t.notMatch(text, /\bshell:|[^.]\bexec\(|execSync\(/, file)
    // What is printed elsewhere would not have passed through `line`.
    if (!/output\.ts$|focus\.js$/.test(file)) t.notMatch(text, /console\.|std(out|err)\.write/, file)
  }
})
