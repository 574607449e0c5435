import { type Command, Option } from 'commander'
import { credits, integer, slug, uuid } from './commands/arguments.ts'
import type { Focus } from './focus.ts'

/** The commands for administrators about accounts, jobs, packs and keys. */

// biome-ignore lint/suspicious/noExplicitAny: commander knows the options and arguments of a command, TypeScript does not
type Action = (focus: Focus, options: any, ...args: any[]) => Promise<void>

/** Creates a command of a group, with its summary and examples. */
export type AddCommand = (name: string, summary: string, examples: string[]) => Command

/** Turns a function, which is loaded when the command runs, into an action of commander. */
export type Runs = (load: () => Promise<Action>) => (this: Command) => Promise<void>

const operator = () => import('./commands/operator.ts')
const selling = () => import('./commands/selling.ts')

const ACCOUNT = ['<account>', 'Clerk id or account id'] as const
const LIMIT = ['--limit <n>', 'number of rows, up to 200 (default: 50)', integer] as const
const CURSOR = ['--cursor <cursor>', 'continue a list from here'] as const
const EXAMPLE_ID = '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'

/** Adds commands to the group `admin`. */
export function addOperatorCommands(add: AddCommand, runs: Runs): void {
  add('overview', 'show credits and holds of all accounts, what needs attention, and the last days', [
    'admin overview',
  ]).action(runs(async () => (await operator()).overview))
  add('accounts', 'list accounts, newest first, or search them', [
    'admin accounts --negative',
    'admin accounts --search ada@example.com',
  ])
    .option('--search <text>', 'Clerk id, account id, job id, payment, reference, last four of a token, or e-mail')
    .option('--negative', 'only accounts below zero')
    .addOption(new Option('--closed', 'only closed accounts').conflicts('open'))
    .option('--open', 'only open accounts')
    .addOption(new Option('--sort <order>', 'by when they were opened').choices(['newest', 'oldest']))
    .option(...LIMIT)
    .option(...CURSOR)
    .action(runs(async () => (await operator()).accounts))
  add('account', 'show an account', ['admin account user_2abc', `admin account ${EXAMPLE_ID}`])
    .argument(...ACCOUNT)
    .action(runs(async () => (await operator()).account))
  add('entries', "list an account's credit history, newest first", ['admin entries user_2abc --limit 20'])
    .argument(...ACCOUNT)
    .option(...LIMIT)
    .option(...CURSOR)
    .action(runs(async () => (await operator()).entries))
  add('tokens', "list an account's valid tokens", ['admin tokens user_2abc'])
    .argument(...ACCOUNT)
    .option(...LIMIT)
    .option(...CURSOR)
    .action(runs(async () => (await operator()).tokens))
  add('grants', 'list the programs that a person has approved', ['admin grants user_2abc'])
    .argument(...ACCOUNT)
    .action(runs(async () => (await operator()).grants))
  add('purchases', 'list purchases of all accounts or of one, newest first', [
    'admin purchases --disputed',
    'admin purchases user_2abc --limit 20',
  ])
    .argument('[account]', 'Clerk id or account id')
    .addOption(
      new Option('--status <status>', 'only purchases with this status')
        .choices(['open', 'processing', 'paid', 'failed', 'expired'])
        .conflicts('disputed'),
    )
    .option('--disputed', 'only purchases whose payment is disputed')
    .option(...LIMIT)
    .option(...CURSOR)
    .action(runs(async () => (await selling()).purchases))
  add('jobs', 'list jobs of all accounts, newest first; jobs in progress by the expiry of their holds', [
    'admin jobs --overdue',
    'admin jobs --account user_2abc --status failed',
  ])
    .addOption(
      new Option('--status <status>', 'only jobs with this status').choices(['started', 'completed', 'failed']),
    )
    .option('--overdue', 'only jobs in progress with an expired hold')
    .option('--app <slug>', 'only jobs of this app', slug)
    .option('--account <account>', 'only jobs of this account: Clerk id or account id')
    .option(...LIMIT)
    .option(...CURSOR)
    .action(runs(async () => (await operator()).jobs))
  add('job', 'show any job, and its refunds', [`admin job ${EXAMPLE_ID}`])
    .argument('<job>', 'id of the job', uuid)
    .action(runs(async () => (await operator()).job))
  add('end', 'end a job that its app does not end', [`admin end ${EXAMPLE_ID} --reason 'the worker is gone'`])
    .argument('<job>', 'id of the job', uuid)
    .requiredOption('--reason <text>', 'for the audit log')
    .option('--no-refund', 'charge the credits that the job holds')
    .action(runs(async () => (await operator()).end))
  add('revoke-token', 'revoke one token of an account', [`admin revoke-token user_2abc ${EXAMPLE_ID}`])
    .argument(...ACCOUNT)
    .argument('<id>', 'id of the token', uuid)
    .action(runs(async () => (await operator()).revokeToken))
  add('revoke-grant', 'revoke what a person has approved for a program', [`admin revoke-grant user_2abc ${EXAMPLE_ID}`])
    .argument(...ACCOUNT)
    .argument('<id>', 'id of the grant', uuid)
    .action(runs(async () => (await operator()).revokeGrant))
  add('close', 'close an account permanently; its credits and history stay', [
    `admin close user_2abc --reason 'on request'`,
  ])
    .argument('<clerk-id>', 'Clerk id of the person')
    .requiredOption('--reason <text>', 'for the audit log')
    .action(runs(async () => (await operator()).close))
  add('erase', 'close an account and erase the data of its owner; cannot be undone', [
    `admin erase user_2abc --reason 'on request' --yes`,
  ])
    .argument('<clerk-id>', 'Clerk id of the person')
    .requiredOption('--reason <text>', 'for the audit log')
    .option('--yes', 'confirm')
    .action(runs(async () => (await operator()).erase))
  add('audit', 'list the changes by administrators, newest first', [
    'admin audit --account user_2abc',
    "admin audit --target 'app video'",
  ])
    .option('--account <account>', 'only changes that concern this account: Clerk id or account id')
    .option('--administrator <account>', 'only changes by this administrator: Clerk id or account id')
    .option('--action <name>', 'only this operation, such as setApp')
    .option('--target <target>', 'only changes of this target, such as `app video`')
    .option('--from <time>', 'from this time on: a date (UTC) or a time (ISO 8601)')
    .option('--to <time>', 'until before this time')
    .option(...LIMIT)
    .option(...CURSOR)
    .action(runs(async () => (await operator()).audit))
}

/** Adds the groups `admin packs` and `admin keys`. @param group creates a group */
export function addSellingCommands(group: (name: string, summary: string) => AddCommand, runs: Runs): void {
  const pack = group('packs', 'What people can buy.')
  pack('list', 'list the packs', ['admin packs list']).action(runs(async () => (await selling()).listPacks))
  pack('set', 'add a pack of credits, or change one', [
    `admin packs set small --name '100 credits' --credits 100 --price 500 --currency usd`,
  ])
    .argument('<slug>', 'slug of the pack', slug)
    .requiredOption('--name <name>', 'name shown to people')
    .requiredOption('--credits <credits>', 'credits in the pack', credits)
    .requiredOption('--price <amount>', 'price in the minor unit of the currency: 500 is $5.00', credits)
    .requiredOption('--currency <code>', 'ISO 4217, lower case, such as usd')
    .option('--stripe-price <id>', "Stripe's price of the same amount; without it Stripe shows the name and the price")
    .action(runs(async () => (await selling()).setPack))
  pack('remove', 'stop selling a pack; open purchases can still be paid', ['admin packs remove small'])
    .argument('<slug>', 'slug of the pack', slug)
    .action(runs(async () => (await selling()).removePack))

  const key = group('keys', 'Keys of your own servers, which post top-ups.')
  key('list', 'list the valid service keys', ['admin keys list']).action(runs(async () => (await selling()).listKeys))
  key('create', 'create a service key, and print it once', [`admin keys create 'Payment server'`])
    .argument('<name>', 'what it is for')
    .action(runs(async () => (await selling()).createKey))
  key('revoke', 'revoke a service key', [`admin keys revoke ${EXAMPLE_ID}`])
    .argument('<id>', 'id of the key', uuid)
    .action(runs(async () => (await selling()).revokeKey))
}
