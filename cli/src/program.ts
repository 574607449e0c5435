import { readFileSync } from 'node:fs'
import { Argument, Command, Option } from 'commander'
import { credits, integer, slug, tokenId, uuid } from './commands/arguments.ts'
import { run, usage } from './failure.ts'
import type { Focus, GlobalOptions } from './focus.ts'
import { DEFAULT_SERVER } from './server.ts'

/** Every command with its options and examples. What a command does is loaded when it runs: most starts need one. */

// biome-ignore lint/suspicious/noExplicitAny: commander knows the options and arguments of a command, TypeScript does not
type Action = (focus: Focus, options: any, ...args: any[]) => Promise<void>

const does = (load: () => Promise<Action>) =>
  async function (this: Command): Promise<void> {
    const { server, json, ...options } = this.optsWithGlobals<GlobalOptions & Record<string, unknown>>()
    const [{ openFocus }, action] = await Promise.all([import('./focus.ts'), load()])
    const focus = await openFocus({ ...(server && { server }), ...(json && { json }) })
    await action(focus, options, ...this.processedArgs)
  }

const session = () => import('./commands/session.ts')
const wallet = () => import('./commands/wallet.ts')
const jobs = () => import('./commands/jobs.ts')
const tokens = () => import('./commands/tokens.ts')
const admin = () => import('./commands/admin.ts')

export const version = (): string =>
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version

/** The program, ready to parse; what is wrong with its arguments is thrown as a CommanderError. */
export function buildProgram(): Command {
  const program = new Command('focus')
    .description('Sign in to the Focus API, spend credits on jobs, administer it.')
    .usage('<command> [options]')
    .version(version(), '-V, --version', 'say the version')
    .helpOption('-h, --help', 'explain a command')
    .helpCommand(false)
    .option('--server <url>', `the Focus API (default: FOCUS_SERVER, the last login's, ${DEFAULT_SERVER})`)
    .option('--json', 'answer with JSON')
    .exitOverride()

  const add = (parent: Command, name: string, summary: string, examples: string[]) =>
    parent
      .command(name)
      .summary(summary)
      .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
      .addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ focus ${example}`).join('\n')}`)
      .showHelpAfterError(`Try: ${run(`${[pathOf(parent), name].join(' ').trim()} --help`)}`)
  const group = (parent: Command, name: string, summary: string) =>
    parent
      .command(name)
      .description(summary)
      .usage('<command> [options]')
      .helpCommand(false)
      .showHelpAfterError(`Try: ${run(`${[pathOf(parent), name].join(' ').trim()} --help`)}`)

  add(program, 'login', 'sign in through your browser and keep a token', [
    'login',
    'login --server http://localhost:3000',
    'login --scope admin',
  ])
    .option('--no-browser', 'do not open a browser')
    .option('--scope <scopes>', 'beside account, what the token is for: admin, oauth (comma-separated)')
    .action(does(async () => (await session()).login))
  add(program, 'logout', 'revoke the token and forget it', ['logout', 'logout --server http://localhost:3000'])
    .option('--force', 'forget it also where the server cannot revoke it now')
    .action(does(async () => (await session()).logout))
  add(program, 'whoami', 'show who is signed in, where, and with which token', ['whoami', 'whoami --json']).action(
    does(async () => (await session()).whoami),
  )
  add(program, 'print-token', 'print the token and nothing else', [
    'print-token',
    'print-token | docker secret create focus_token -',
  ]).action(does(async () => (await session()).printToken))
  add(program, 'wallet', 'show credits, holds and starter credits', ['wallet', 'wallet --app video'])
    .option('--app <slug>', 'visit this app: its starter credits are granted at the first visit', slug)
    .action(does(async () => (await wallet()).wallet))
  add(program, 'entries', 'list what has moved your credits, newest first', [
    'entries --limit 20',
    'entries --until 2026-11-21T12:00:00Z',
    'entries --csv > entries.csv',
  ])
    .option('--limit <n>', 'at most so many, up to 200 (default: 50)', integer)
    .option('--cursor <cursor>', 'go on where a list ended')
    .option('--until <time>', 'up to this moment (ISO 8601): the first entry says the balance then')
    .addOption(new Option('--csv', 'answer with CSV').conflicts('json'))
    .action(does(async () => (await wallet()).entries))

  const job = group(program, 'jobs', 'Jobs and the credits they hold.')
  add(job, 'list', 'list your jobs, newest first', ['jobs list', 'jobs list --app video --status started --json'])
    .option('--app <slug>', 'of this app', slug)
    .addOption(new Option('--status <status>', 'in this state').choices(['started', 'completed', 'failed']))
    .option('--limit <n>', 'at most so many, up to 200 (default: 50)', integer)
    .option('--cursor <cursor>', 'go on where a list ended')
    .action(does(async () => (await jobs()).list))
  add(job, 'show', 'show one job', ['jobs show 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'])
    .argument('<id>', 'of the job', uuid)
    .action(does(async () => (await jobs()).show))
  add(job, 'create', 'reserve credits for a job and print its id', [
    'jobs create --app video --action render --cost 5',
    `jobs create --app video --action render --cost 5 --metadata '{"description":"clip"}'`,
  ])
    .requiredOption('--app <slug>', 'the app that does the work', slug)
    .requiredOption('--action <name>', 'what it does')
    .requiredOption('--cost <credits>', 'the estimate: so many credits are held', credits)
    .option('--metadata <json>', 'a JSON object, @file, or - for standard input')
    .option('--ttl <seconds>', 'how long the hold lives, from 60 to 604800', credits)
    .option('--idempotency-key <key>', 'the same key again finds the same job')
    .action(does(async () => (await jobs()).create))
  add(job, 'complete', 'complete a job at what it cost', [
    'jobs complete 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f --cost 3',
  ])
    .argument('<id>', 'of the job', uuid)
    .requiredOption('--cost <credits>', 'what it really cost', credits)
    .option('--metadata <json>', 'merged into the job: a JSON object, @file, or - for standard input')
    .option('--account <id>', 'whose job it is, with FOCUS_APP_KEY and without a login', uuid)
    .action(does(async () => (await jobs()).complete))
  add(job, 'fail', 'fail a job and give its credits back', [
    'jobs fail 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f',
    'jobs fail 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f --no-refund',
  ])
    .argument('<id>', 'of the job', uuid)
    .option('--no-refund', 'it costs what it held')
    .option('--account <id>', 'whose job it is, with FOCUS_APP_KEY and without a login', uuid)
    .action(does(async () => (await jobs()).fail))
  add(job, 'heartbeat', 'say that a job is alive: its hold lives on', [
    'jobs heartbeat 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f --ttl 600',
  ])
    .argument('<id>', 'of the job', uuid)
    .option('--ttl <seconds>', 'from now on, from 60 to 604800', credits)
    .option('--account <id>', 'whose job it is, with FOCUS_APP_KEY and without a login', uuid)
    .action(does(async () => (await jobs()).heartbeat))

  const token = group(program, 'tokens', 'Your personal access tokens.')
  add(token, 'list', 'list your tokens that work; * is the one in use', ['tokens list']).action(
    does(async () => (await tokens()).list),
  )
  add(token, 'revoke', 'revoke one of your tokens', ['tokens revoke 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'])
    .argument('<id>', 'of the token, or current', tokenId)
    .action(does(async () => (await tokens()).revoke))

  const administer = group(program, 'admin', 'For administrators, with a login of --scope admin.')
  const apps = group(administer, 'apps', 'The registered apps.')
  add(apps, 'list', 'list the registered apps', ['admin apps list']).action(does(async () => (await admin()).listApps))
  add(apps, 'set', 'register an app or change it; what is not given stays', [
    'admin apps set podcasts --name Podcasts --starter-credits 10 --origin https://podcasts.example.com',
    'admin apps set video --settle-key rotate',
  ])
    .argument('<slug>', 'of the app', slug)
    .option('--name <name>', 'what people read')
    .option('--starter-credits <credits>', 'granted at the first visit; needed for a new app', credits)
    .option('--origin <origin...>', 'the web origins of the app, each trusted with the accounts of its users')
    .option('--no-origin', 'no web origin at all')
    .addOption(
      new Option('--settle-key <what>', "the key that the app's server settles with").choices(['rotate', 'remove']),
    )
    .action(does(async () => (await admin()).setApp))
  for (const [name, kind, summary, amount, reason] of [
    ['grant', 'admin_grant', 'give somebody credits', '100', 'for the trouble'],
    ['topup', 'topup', 'enter credits that somebody has bought', '100', 'bought 100 credits'],
    ['adjust', 'adjustment', 'correct a balance, up or down', '-5', 'counted twice'],
  ] as const) {
    add(administer, name, summary, [`admin ${name} user_2abc ${amount} --reference ticket-17 --reason '${reason}'`])
      .argument('<clerk-id>', 'whose')
      .addArgument(new Argument('<amount>', 'credits, not 0; negative takes').argParser(integer))
      .requiredOption('--reference <text>', 'unique per account: the same again moves nothing')
      .requiredOption('--reason <text>', 'what for')
      .option('--allow-negative', 'take it also where the balance ends below 0')
      .action(does(async () => (await admin()).credits(kind)))
  }
  add(administer, 'account', "show somebody's account", ['admin account user_2abc'])
    .argument('<clerk-id>', 'whose')
    .action(does(async () => (await admin()).account))
  add(administer, 'revoke-tokens', "revoke all of somebody's tokens", ['admin revoke-tokens user_2abc'])
    .argument('<clerk-id>', 'whose')
    .action(does(async () => (await admin()).revokeTokens))
  add(administer, 'verify', 'check every invariant of the ledger; exit code 1 where one is broken', [
    'admin verify',
  ]).action(does(async () => (await admin()).verify))

  add(program, 'help', 'explain a command', ['help', 'help jobs create'])
    .argument('[command...]', 'such as jobs create')
    .action((words: string[]) => {
      const explained = words.reduce(
        (command: Command | undefined, word) => command?.commands.find((child) => child.name() === word),
        program,
      )
      if (!explained) throw usage(`There is no command ${words.join(' ')}`, `See ${run('help')}`)
      explained.outputHelp()
    })

  explain(program)
  return program
}

/** `jobs list` for the command list of the group jobs. */
function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}`.trim() : ''
}

/** The help of the program lists every command, those of its groups too. */
function explain(program: Command): void {
  const leaves = (command: Command): Command[] =>
    command.commands.flatMap((child) => (child.commands.length ? leaves(child) : [child]))
  const term = (command: Command) => [pathOf(command), ...command.registeredArguments.map(shape)].join(' ')
  const shape = (argument: Argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`)
  const all = (command: Command) => {
    command.configureHelp({ showGlobalOptions: true, visibleCommands: leaves, subcommandTerm: term })
    command.commands.forEach(all)
  }
  all(program)
  program.showHelpAfterError(`Try: ${run('help')}`).addHelpText(
    'after',
    `
Environment:
  FOCUS_SERVER   the Focus API to talk to
  FOCUS_TOKEN    a token to use instead of the login, for CI
  FOCUS_APP_KEY  an app's settle key, for jobs
  NO_COLOR       no colours

Exit codes: 0 done, 1 failed, 2 wrong usage, 4 not signed in, 130 interrupted.
Where focus is not installed: ${run('help')}

Examples:
  $ focus login
  $ focus jobs create --app video --action render --cost 5`,
  )
}
