import type { Help } from './frame.ts'

/** The paragraph of the docs that explains a page. A test follows each. */
export const HELP = {
  overview: { href: '/docs/console#what-is-where', text: 'What is where, and what to do when somebody asks' },
  accounts: { href: '/docs/ledger#what-moves-when', text: 'What moves credits, and when' },
  jobs: { href: '/docs/api#reserve-and-settle-a-job', text: 'How jobs hold and settle credits' },
  apps: { href: '/docs/api#administrators', text: 'What the fields of an app do' },
  addresses: { href: '/docs/oauth#register-a-client', text: 'Origins, redirect URIs and resources' },
  settleKey: { href: '/docs/api#settle-from-a-server', text: 'Settle keys' },
  webhooks: { href: '/docs/api#manage-an-endpoint', text: 'How webhooks are delivered, retried and signed' },
  packs: { href: '/docs/payments#packs', text: 'Packs, prices and Stripe' },
  purchases: { href: '/docs/payments#refunds-and-disputes', text: 'Refunds and disputes of purchases' },
  keys: { href: '/docs/payments#your-own-payment-server', text: 'What a service key can do' },
  verify: { href: '/docs/ledger#when-verify-reports-something', text: 'What to do when verify reports something' },
  audit: { href: '/docs/console#the-audit-log', text: 'What the audit log has' },
} as const satisfies Record<string, Help>
