import { type Command, Option } from 'commander'
import { credits, integer, slug, uuid } from './commands/arguments.ts'
import type { Focus } from './focus.ts'

/** The commands of administrators about accounts and jobs of others, and about what is sold. */

// biome-ignore lint/suspicious/noExplicitAny: commander knows the options and arguments of a command, TypeScript does not
type Action = (focus: Focus, options: any, ...args: any[]) => Promise<void>

const operator = () => import('./commands/operator.ts')
const selling = () => import('./commands/selling.ts')

const ACCOUNT = ['<account>', 'Clerk id or account id'] as const
const LIMIT = ['--limit <n>', 'number of rows, up to 200 (default: 50)', integer] as const
const CURSOR = ['--cursor <cursor>', 'continue a list from here'] as const
const EXAMPLE_ID = '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'

/**
 * Adds them to their group.
 * @param add makes a command with its summary and examples
 * @param runs makes what a command does of a function that is loaded when it runs
 */
export function addOperatorCommands(
  add: (name: string, summary: string, examples: string[]) => Command,
  runs: (load: () => Promise<Action>) => (this: Command) => Promise<void>,
): void {
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
    .option('--overdue', 'only jobs in progress whose hold is past its time')
    .option('--app <slug>', 'only jobs of this app', slug)
    .option('--account <account>', 'only jobs of this account: Clerk id or account id')
    .option(...LIMIT)
    .option(...CURSOR)
    .action(runs(async () => (await operator()).jobs))
  add('job', 'show any job, and what was given back of it', [`admin job ${EXAMPLE_ID}`])
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
  add('revoke-grant', 'end what a person has approved for a program', [`admin revoke-grant user_2abc ${EXAMPLE_ID}`])
    .argument(...ACCOUNT)
    .argument('<id>', 'id of the grant', uuid)
    .action(runs(async () => (await operator()).revokeGrant))
  add('close', 'close an account for good; its credits and history stay', [
    `admin close user_2abc --reason 'on request'`,
  ])
    .argument('<clerk-id>', 'Clerk id of the person')
    .requiredOption('--reason <text>', 'for the audit log')
    .action(runs(async () => (await operator()).close))
  add('erase', 'forget a person: close the account and clear whose it was; cannot be undone', [
    `admin erase user_2abc --reason 'on request' --yes`,
  ])
    .argument('<clerk-id>', 'Clerk id of the person')
    .requiredOption('--reason <text>', 'for the audit log')
    .option('--yes', 'really')
    .action(runs(async () => (await operator()).erase))
  add('audit', 'list what administrators have changed, newest first', [
    'admin audit --account user_2abc',
    "admin audit --target 'app video'",
  ])
    .option('--account <account>', 'only what concerns this account: Clerk id or account id')
    .option('--administrator <account>', 'only what this administrator did: Clerk id or account id')
    .option('--action <name>', 'only this operation, such as setApp')
    .option('--target <target>', 'only this target, such as `app video`')
    .option(...LIMIT)
    .option(...CURSOR)
    .action(runs(async () => (await operator()).audit))
}

/** Adds the groups about what is sold, and about the keys of the operator's own servers. @param group makes the `add` of a new group */
export function addSellingCommands(
  group: (name: string, summary: string) => Parameters<typeof addOperatorCommands>[0],
  runs: Parameters<typeof addOperatorCommands>[1],
): void {
  const pack = group('packs', 'What people can buy.')
  pack('list', 'list the packs', ['admin packs list']).action(runs(async () => (await selling()).listPacks))
  pack('set', 'sell a pack of credits, or change it', [
    `admin packs set small --name '100 credits' --credits 100 --price 500 --currency usd`,
  ])
    .argument('<slug>', 'slug of the pack', slug)
    .requiredOption('--name <name>', 'name shown to people')
    .requiredOption('--credits <credits>', 'credits that it gives', credits)
    .requiredOption('--price <amount>', 'price in the minor unit of the currency: 500 is $5.00', credits)
    .requiredOption('--currency <code>', 'ISO 4217, lower case, such as usd')
    .option('--stripe-price <id>', "Stripe's price of the same amount; without it Stripe shows the name and the price")
    .action(runs(async () => (await selling()).setPack))
  pack('remove', 'stop selling a pack; purchases that have begun can still be paid', ['admin packs remove small'])
    .argument('<slug>', 'slug of the pack', slug)
    .action(runs(async () => (await selling()).removePack))

  const key = group('keys', 'Keys of your own servers, which post top-ups.')
  key('list', 'list the live service keys', ['admin keys list']).action(runs(async () => (await selling()).listKeys))
  key('create', 'make a service key, and print it once', [`admin keys create 'Payment server'`])
    .argument('<name>', 'what it is for')
    .action(runs(async () => (await selling()).createKey))
  key('revoke', 'revoke a service key', [`admin keys revoke ${EXAMPLE_ID}`])
    .argument('<id>', 'id of the key', uuid)
    .action(runs(async () => (await selling()).revokeKey))
}
