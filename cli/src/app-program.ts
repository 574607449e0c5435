import { Option } from 'commander'
import type { AddCommand, Runs } from './admin-program.ts'
import { credits, integer, maxOverage, slug, uuid } from './commands/arguments.ts'

/** The commands for administrators about apps and their webhooks. */

const admin = () => import('./commands/admin.ts')
const webhooks = () => import('./commands/webhooks.ts')

const EXAMPLE_ID = '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'

/** Adds the commands of the group `admin apps`. */
export function addAppCommands(app: AddCommand, runs: Runs): void {
  app('list', 'list the registered apps', ['admin apps list']).action(runs(async () => (await admin()).listApps))
  app('set', 'register an app, or change the given settings of one', [
    'admin apps set podcasts --name Podcasts --starter-credits 10 --origin https://podcasts.example.com',
    'admin apps set video --redirect-uri https://video.example.com/callback',
    'admin apps set video --settle-key rotate',
  ])
    .argument('<slug>', 'slug of the app', slug)
    .option('--name <name>', 'name shown to people')
    .option('--starter-credits <credits>', 'granted at the first use; 0 for a new app', credits)
    .option('--origin <origin...>', 'web origins of the app; each can use the accounts of its users')
    .option('--no-origin', 'remove all web origins')
    .option('--return-path <path...>', 'paths that a sign-in may return to; with a slash at the end, all below it')
    .option('--no-return-path', 'allow every path of the origins')
    .option('--redirect-uri <uri...>', 'where OAuth sends people back to: https, or http on a loopback address')
    .option('--no-redirect-uri', 'remove all redirect URIs')
    .option('--resource <url...>', "URLs of the app's own APIs that OAuth tokens can be for")
    .option('--no-resource', 'remove all resources')
    .addOption(
      new Option('--settle-key <what>', "rotate or remove the key that the app's server settles jobs with").choices([
        'rotate',
        'remove',
      ]),
    )
    .option(
      '--max-overage <limit>',
      'how far a cost may exceed its estimate: credits, or percent of it such as 200%',
      maxOverage,
    )
    .option('--no-max-overage', 'remove that limit')
    .action(runs(async () => (await admin()).setApp))
}

/** Adds the commands of the group `admin webhooks`. */
export function addWebhookCommands(webhook: AddCommand, runs: Runs): void {
  /** Adds a command about one endpoint. */
  const hook = (name: string, summary: string, more = '') =>
    webhook(name, summary, [`admin webhooks ${name} ${EXAMPLE_ID}${more}`]).argument('<id>', 'id of the endpoint', uuid)
  const message = ['--message <id>', 'only this message', uuid] as const
  const limit = ['--limit <n>', 'number of rows, up to 200 (default: 50)', integer] as const
  const lowCredits = ['--low-credits <credits>', 'account.low is sent below this balance', credits] as const
  const events = ['--event <event...>', 'events to send, such as job.completed job.failed account.low'] as const
  webhook('list', "list an app's endpoints", ['admin webhooks list video'])
    .argument('<slug>', 'slug of the app', slug)
    .action(runs(async () => (await webhooks()).list))
  webhook('create', 'register an endpoint of an app and print its secret', [
    'admin webhooks create video --url https://video.example.com/hooks --event job.completed job.failed',
  ])
    .argument('<slug>', 'slug of the app', slug)
    .requiredOption('--url <url>', 'where messages are posted to')
    .requiredOption(...events)
    .option(...lowCredits)
    .action(runs(async () => (await webhooks()).create))
  hook('show', 'show an endpoint').action(runs(async () => (await webhooks()).show))
  hook('change', 'change the given settings of an endpoint', ' --url https://video.example.com/new')
    .option('--url <url>', 'where messages are posted to')
    .option(...events)
    .option(...lowCredits)
    .action(runs(async () => (await webhooks()).change))
  hook('pause', 'pause an endpoint; its messages wait').action(runs(async () => (await webhooks()).pause(true)))
  hook('resume', 'resume an endpoint').action(runs(async () => (await webhooks()).pause(false)))
  hook('rotate', 'print a new secret; the old one signs for another 24 hours').action(
    runs(async () => (await webhooks()).rotate),
  )
  hook('test', 'send a test message; exit code 1 if it is not accepted').action(
    runs(async () => (await webhooks()).test),
  )
  hook('deliveries', 'list attempts of the last seven days, newest first', ' --limit 20')
    .option(...limit)
    .option('--cursor <cursor>', 'continue a list from here')
    .action(runs(async () => (await webhooks()).deliveries))
  hook('dead', 'list messages that were given up, oldest first')
    .option(...limit)
    .action(runs(async () => (await webhooks()).dead))
  hook('replay', 'send dead messages again, one or all')
    .option(...message)
    .action(runs(async () => (await webhooks()).replay))
  hook('dismiss', 'delete dead messages, one or all')
    .option(...message)
    .action(runs(async () => (await webhooks()).dismiss))
  hook('remove', 'remove an endpoint and its undelivered messages').action(runs(async () => (await webhooks()).remove))
}
