import { readFileSync } from 'node:fs'
import { Argument, Command, Help, Option } from 'commander'
import { type AddCommand, addOperatorCommands, addSellingCommands, type Runs } from './admin-program.ts'
import { addAppCommands, addWebhookCommands } from './app-program.ts'
import { run } from './command-line.ts'
import { credits, days, integer, slug, slugs, tokenId, uuid } from './commands/arguments.ts'
import { filtered, paged } from './filters.ts'
import type { GlobalOptions } from './focus.ts'
import { colours, line } from './output.ts'
import { DEFAULT_SERVER } from './server.ts'

/** All commands with their options and examples. The code of a command is loaded when it runs, so that the CLI starts fast. */

const runs: Runs = (load) =>
  async function (this: Command): Promise<void> {
    const { server, json, ...options } = this.optsWithGlobals<GlobalOptions & Record<string, unknown>>()
    const [{ openFocus }, action] = await Promise.all([import('./focus.ts'), load()])
    const focus = await openFocus({ ...(server && { server }), ...(json && { json }) })
    await action(focus, options, ...this.processedArgs)
  }

const session = () => import('./commands/session.ts')
const wallet = () => import('./commands/wallet.ts')
const usage = () => import('./commands/usage.ts')
const jobs = () => import('./commands/jobs.ts')
const tokens = () => import('./commands/tokens.ts')
const grants = () => import('./commands/grants.ts')
const admin = () => import('./commands/admin.ts')

/** The kinds of ledger entries. */
const ENTRY_KINDS = [
  ...['starter_grant', 'admin_grant', 'topup', 'adjustment', 'topup_refund', 'topup_reinstated'],
  ...['job_reserve', 'job_refund', 'job_overage', 'job_release', 'job_expire', 'job_late_charge'],
]

export const version = (): string =>
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version

/** What the budget of a token does not limit. */
const FINAL_COST = `
No reserve exceeds --budget, including jobs under way. The final cost of a job can: the app decides it or, for its own
jobs at an app without a settle key, the holder of the token. The next reserve is then refused.`

/** The program, ready to parse. Wrong arguments are thrown as a CommanderError. */
export function buildProgram(): Command {
  const program = new Command('focus')
    .description('Sign in to the Focus API, spend credits on jobs, administer the service.')
    .usage('<command> [options]')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show the help of a command')
    .helpCommand(false)
    .option('--server <url>', `the Focus API (default: FOCUS_SERVER, the last login's, ${DEFAULT_SERVER})`)
    .option('--json', 'print JSON')
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error:/, `${colours(process.stderr).red(line`Error:`)}`)),
    })

  const add = (parent: Command, name: string, summary: string, examples: string[]) =>
    parent
      .command(name)
      .summary(summary)
      .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
      .addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ focus ${example}`).join('\n')}`)
      .showHelpAfterError(`Try: ${run(...pathOf(parent).split(' ').filter(Boolean), name, '--help')}`)
  const group = (parent: Command, name: string, summary: string) =>
    parent
      .command(name)
      .description(summary)
      .usage('<command> [options]')
      .helpCommand(false)
      .showHelpAfterError(`Try: ${run(...pathOf(parent).split(' ').filter(Boolean), name, '--help')}`)

  add(program, 'login', 'sign in with your browser and store a token', [
    'login',
    'login --server http://localhost:3000',
    'login --scope admin',
    'login --with-token < token.txt',
  ])
    .option('--no-browser', 'do not open a browser')
    .addOption(
      new Option('--with-token', 'read a token from standard input instead of asking in a browser').conflicts('scope'),
    )
    .option('--scope <scopes>', 'scopes of the token beside account: admin, oauth (comma-separated)')
    .action(runs(async () => (await session()).login))
  add(program, 'logout', 'revoke the token and delete it', ['logout', 'logout --server http://localhost:3000'])
    .option('--force', 'delete the token even if the server cannot revoke it')
    .action(runs(async () => (await session()).logout))
  add(program, 'whoami', 'show who is signed in, where, and with which token', ['whoami', 'whoami --json']).action(
    runs(async () => (await session()).whoami),
  )
  add(program, 'print-token', 'print the token and nothing else', [
    'print-token',
    'print-token | docker secret create focus_token -',
  ]).action(runs(async () => (await session()).printToken))
  add(program, 'wallet', 'show credits, holds and starter credits', ['wallet', 'wallet --app video'])
    .option('--app <slug>', 'visit this app; the first visit grants its starter credits', slug)
    .action(runs(async () => (await wallet()).wallet))
  add(program, 'buy', 'open the page where credits are bought', ['buy', 'buy --no-browser'])
    .option('--no-browser', 'print the address and do not open a browser')
    .action(runs(async () => (await wallet()).buy))
  const history = add(program, 'entries', 'list your credit history, newest first', [
    'entries --limit 20',
    'entries --kind topup',
    'entries --until 2026-11-21T12:00:00Z',
    'entries --from 2026-11-01 --to 2026-12-01 --csv > november.csv',
  ])
    .addOption(new Option('--kind <kind>', 'only entries of this kind').choices(ENTRY_KINDS))
    .option('--until <time>', 'only entries up to this time (ISO 8601); the first one has the balance at that time')
    .addOption(new Option('--csv', 'print CSV; without --limit all entries').conflicts('json'))
    .action(runs(async () => (await wallet()).entries))
  paged(filtered(history, 'entries'))
  const used = (parent: Command, summary: string, groups: string, examples: string[]) =>
    add(parent, 'usage', summary, examples)
      .option('--by <groups>', `${groups}, or several of them with commas (default: app)`)
      .option('--from <date>', 'first day, UTC (default: 30 days before --to)')
      .option('--to <date>', 'the day after the last (default: tomorrow)')
      .addOption(new Option('--csv', 'print CSV').conflicts('json'))
  used(program, 'sum up what your jobs cost and hold', 'app, action, token or day', [
    'usage',
    'usage --by app,day --from 2026-11-01 --to 2026-12-01',
    'usage --by token --csv > usage.csv',
  ]).action(runs(async () => (await usage()).usage(false)))

  const job = group(program, 'jobs', 'Jobs and the credits they hold.')
  const jobList = add(job, 'list', 'list your jobs, newest first', [
    'jobs list',
    'jobs list --app video --status started --json',
    'jobs list --from 2026-11-01 --to 2026-12-01',
  ])
    .addOption(
      new Option('--status <status>', 'only jobs with this status').choices(['started', 'completed', 'failed']),
    )
    .action(runs(async () => (await jobs()).list))
  paged(filtered(jobList, 'jobs'))
  add(job, 'show', 'show one job', ['jobs show 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'])
    .argument('<id>', 'id of the job', uuid)
    .action(runs(async () => (await jobs()).show))
  add(job, 'create', 'reserve credits for a job and print its id', [
    'jobs create --app video --action render --cost 5',
    `jobs create --app video --action render --cost 5 --metadata '{"description":"clip"}'`,
  ])
    .requiredOption('--app <slug>', 'the app that runs the job', slug)
    .requiredOption('--action <name>', 'what the job does')
    .requiredOption('--cost <credits>', 'estimated cost: this many credits are held', credits)
    .option('--metadata <json>', 'a JSON object, @file, or - for standard input')
    .option('--ttl <seconds>', 'seconds until the hold expires, 60 to 604800', credits)
    .option('--idempotency-key <key>', 'a repeat with the same key returns the same job')
    .action(runs(async () => (await jobs()).create))
  add(job, 'complete', 'complete a job and charge its cost', [
    'jobs complete 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f --cost 3',
  ])
    .argument('<id>', 'id of the job', uuid)
    .requiredOption('--cost <credits>', 'actual cost', credits)
    .option('--metadata <json>', 'merged into the metadata of the job: a JSON object, @file, or - for standard input')
    .option('--account <id>', 'account of the job, with FOCUS_APP_KEY instead of a login', uuid)
    .action(runs(async () => (await jobs()).complete))
  add(job, 'fail', 'fail a job and release its credits', [
    'jobs fail 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f',
    'jobs fail 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f --no-refund',
  ])
    .argument('<id>', 'id of the job', uuid)
    .option('--no-refund', 'charge the credits that the job holds')
    .option('--metadata <json>', 'merged into the metadata of the job: a JSON object, @file, or - for standard input')
    .option('--account <id>', 'account of the job, with FOCUS_APP_KEY instead of a login', uuid)
    .action(runs(async () => (await jobs()).fail))
  add(job, 'heartbeat', 'extend the hold of a running job', [
    'jobs heartbeat 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f --ttl 600',
  ])
    .argument('<id>', 'id of the job', uuid)
    .option('--ttl <seconds>', 'seconds from now until the hold expires, 60 to 604800', credits)
    .option('--account <id>', 'account of the job, with FOCUS_APP_KEY instead of a login', uuid)
    .action(runs(async () => (await jobs()).heartbeat))

  const token = group(program, 'tokens', 'Your personal access tokens.')
  add(token, 'list', 'list your active tokens; * marks the one in use', ['tokens list']).action(
    runs(async () => (await tokens()).list),
  )
  const period = () =>
    new Option('--period <period>', 'how often the budget is reset, in UTC').choices(['day', 'week', 'month'])
  add(token, 'create', 'create a token, such as for a server, and print it once', [
    'tokens create --name render-server --budget 50 --period day --app video --expires 30',
    'tokens create --name render-server | docker secret create focus_token -',
  ])
    .requiredOption('--name <name>', 'what it is for')
    .addOption(new Option('--scope <scope...>', 'default: account').choices(['account', 'oauth', 'admin']))
    .option('--budget <credits>', 'credits that it may spend', credits)
    .addOption(period())
    .option('--app <slug>', 'an app that it may spend at, may be repeated (default: all)', slugs)
    .option('--expires <days>', "1 to 365; not after the token that creates it (default: the server's setting)", days)
    .addHelpText('after', FINAL_COST)
    .action(runs(async () => (await tokens()).create))
  add(token, 'change', 'rename a token, or change what it may spend', [
    'tokens change 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f --budget 100 --period week',
    'tokens change 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f --no-budget',
  ])
    .argument('<id>', 'id of the token, or current', tokenId)
    .option('--name <name>', 'what it is for')
    .option('--budget <credits>', 'credits that it may spend', credits)
    .option('--no-budget', 'any number of credits')
    .addOption(period())
    .option('--no-period', 'the budget is never reset')
    .option('--app <slug>', 'an app that it may spend at, may be repeated', slugs)
    .option('--no-app', 'any app')
    .action(runs(async () => (await tokens()).change))
  add(token, 'revoke', 'revoke one of your tokens, and those that it created', [
    'tokens revoke 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f',
  ])
    .argument('<id>', 'id of the token, or current', tokenId)
    .action(runs(async () => (await tokens()).revoke))

  const grant = group(program, 'grants', 'What you have allowed programs to do.')
  add(grant, 'list', 'list the programs that you have allowed, with their budgets', ['grants list']).action(
    runs(async () => (await grants()).list),
  )
  add(grant, 'set', 'change the budget of a program that you have allowed', [
    'grants set 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f --budget 200 --period month',
    'grants set 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f --no-budget',
  ])
    .argument('<id>', 'id of the grant', uuid)
    .option('--budget <credits>', 'the most that it may spend in a period', credits)
    .option('--no-budget', 'no limit but your balance')
    .addOption(
      new Option('--period <period>', 'how often the budget is reset, in UTC').choices(['day', 'week', 'month']),
    )
    .option('--no-period', 'the budget is never reset')
    .action(runs(async () => (await grants()).set))
  add(grant, 'revoke', 'revoke what you have allowed a program', ['grants revoke 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'])
    .argument('<id>', 'id of the grant', uuid)
    .action(runs(async () => (await grants()).revoke))

  const administer = group(program, 'admin', 'Commands for administrators. They need a login with --scope admin.')
  const groupOf = (name: string, summary: string): AddCommand => {
    const parent = group(administer, name, summary)
    return (...command) => add(parent, ...command)
  }
  addAppCommands(groupOf('apps', 'The registered apps.'), runs)
  for (const [name, kind, summary, amount, reason] of [
    ['grant', 'admin_grant', 'grant credits to an account', '100', 'sorry for the outage'],
    ['topup', 'topup', 'record credits that were bought', '100', 'invoice 17'],
    ['adjust', 'adjustment', 'correct a balance, up or down', '-5', 'granted twice'],
  ] as const) {
    add(administer, name, summary, [`admin ${name} user_2abc ${amount} --reference ticket-17 --reason '${reason}'`])
      .argument('<clerk-id>', 'Clerk id of the person')
      .addArgument(new Argument('<amount>', 'credits to add; a negative number subtracts').argParser(integer))
      .requiredOption('--reference <text>', 'unique per account; a repeat changes nothing')
      .requiredOption('--reason <text>', 'shown in the credit history')
      .option('--allow-negative', 'allow a balance below 0')
      .action(runs(async () => (await admin()).credits(kind)))
  }
  addWebhookCommands(groupOf('webhooks', 'Webhook endpoints of apps, and what was sent to them.'), runs)
  add(administer, 'refund', 'refund the cost of a job, or a part of it', [
    `admin refund 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f --account 553e5c05-43f2-5afa-a2ab-a7d7c88e4fe8 --reason 'black frames'`,
  ])
    .argument('<job>', 'id of the job', uuid)
    .requiredOption('--account <id>', 'account of the job', uuid)
    .requiredOption('--reason <text>', 'shown in the credit history')
    .option('--amount <credits>', 'default: the cost of the job without other refunds', credits)
    .option('--part <n>', 'number of this part; the same part and amount again changes nothing (default: 1)', credits)
    .action(runs(async () => (await admin()).refund))
  addOperatorCommands((...command) => add(administer, ...command), runs)
  addSellingCommands(groupOf, runs)
  add(administer, 'revoke-tokens', 'revoke all tokens of an account', ['admin revoke-tokens user_2abc'])
    .argument('<clerk-id>', 'Clerk id of the person')
    .action(runs(async () => (await admin()).revokeTokens))
  used(administer, 'sum up what the jobs of all accounts cost and hold', 'app, day or plan', [
    'admin usage --by plan',
    'admin usage --by day --csv > usage.csv',
  ]).action(runs(async () => (await usage()).usage(true)))
  add(administer, 'verify', 'check every invariant of the ledger; exit code 1 if one is broken', [
    'admin verify',
  ]).action(runs(async () => (await admin()).verify))

  add(program, 'help', 'show the help of a command', ['help', 'help jobs create'])
    .argument('[command...]', 'for example jobs create')
    .action((words: string[]) => {
      const find = (command: Command, [word, ...more]: string[]): Command => {
        const child = command.commands.find((candidate) => candidate.name() === word)
        // Parsing an unknown word reports it, with a suggestion.
        if (word !== undefined && !child && command.commands.length) command.parse([word], { from: 'user' })
        return child ? find(child, more) : command
      }
      find(program, words).outputHelp()
    })

  listEveryCommand(program)
  return program
}

/** The words of a command after `focus`, such as `jobs list`. */
function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}`.trim() : ''
}

/** Makes the program's help list the commands of its groups too, and adds the environment and examples to it. */
function listEveryCommand(program: Command): void {
  const leaves = (command: Command): Command[] =>
    command.commands.flatMap((child) => (child.commands.length ? leaves(child) : [child]))
  const term = (command: Command) => [pathOf(command), ...command.registeredArguments.map(shape)].join(' ')
  const shape = (argument: Argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`)
  const all = (command: Command) => {
    command.configureHelp({
      showGlobalOptions: true,
      subcommandTerm: term,
      formatHelp: (shown, help) =>
        Help.prototype.formatHelp.call(Object.assign(help, { visibleCommands: leaves }), shown, help),
    })
    command.commands.forEach(all)
  }
  all(program)
  program.showHelpAfterError(`Try: ${run('help')}`).addHelpText(
    'after',
    `
Environment:
  FOCUS_SERVER      address of the Focus API
  FOCUS_TOKEN       token to use instead of a login, for CI
  FOCUS_TOKEN_FILE  file with that token, such as a secret of a container
  FOCUS_APP_KEY     settle key of an app, for jobs
  HTTPS_PROXY       proxy to use, except for the hosts in NO_PROXY
  NO_COLOR          turn colours off

Exit codes: 0 success, 1 failure, 2 wrong usage, 4 not signed in, 130 interrupted.

Examples:
  $ focus login
  $ focus jobs create --app video --action render --cost 5`,
  )
}
