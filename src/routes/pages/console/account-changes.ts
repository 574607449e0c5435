import type { FastifyInstance } from 'fastify'
import { listTokens, MAX_TOKENS } from '../../../access/tokens.ts'
import { ERASED } from '../../../accounts/erase.ts'
import { accountClosed, badField, tokenNotFound } from '../../../http/catalogue.ts'
import { readEntriesOf } from '../../../ledger/selection.ts'
import { listGrants } from '../../../oauth/grants.ts'
import {
  closeForOperator,
  eraseForOperator,
  revokeAllTokens,
  revokeOneGrant,
  revokeOneToken,
} from '../../../operator/account-changes.ts'
import { type AccountRow, readAccount } from '../../../operator/find-accounts.ts'
import { adjustCredits, MAX_REFERENCE, refuseOwnReference } from '../../../operator/job-changes.ts'
import { amountText, creditsText, shortText, timeText } from '../words.ts'
import { namesOf, titleOf } from './account-reads.ts'
import { type Asked, addChange, type Plan } from './changes.ts'
import { countText } from './console-words.ts'
import { creditsForm, GIVEN } from './credits-form.ts'
import type { Form } from './forms.ts'
import { HELP } from './help.ts'

/** What can be done with an account. */
export function addAccountChanges(app: FastifyInstance): void {
  /** Adds a change of one account. */
  const ofAccount = (
    name: string,
    plan: (account: AccountRow, who: string, asked: Asked) => Promise<Omit<Plan, 'back'>>,
    form?: (id: string, who: string) => Form,
  ) =>
    addChange(app, {
      ...{ path: `/console/accounts/:id/${name}`, section: 'accounts', help: HELP.accounts },
      ...(form && {
        async form({ params: { id = '' } }) {
          const [account, names] = await Promise.all([readAccount(app.db, id), namesOf(app.db, [id])])
          return account.closed_at ? undefined : form(account.id, titleOf(account, names.get(id)))
        },
      }),
      async plan(asked) {
        const id = asked.params.id ?? ''
        const [account, names] = await Promise.all([readAccount(app.db, id), namesOf(app.db, [id])])
        const who = titleOf(account, names.get(id))
        return { back: `/console/accounts/${account.id}`, ...(await plan(account, who, asked)) }
      },
    })

  ofAccount(
    'credits',
    async (account, who, { fields }) => {
      if (account.closed_at) throw accountClosed()
      const given = GIVEN.find(({ value }) => value === fields.text('what'))
      if (!given) throw badField('what', 'must be chosen')
      const size = fields.whole('amount', { least: 1 })
      const takes = given.value === 'take'
      const kind = takes ? 'adjustment' : given.value
      const amount = takes ? -size : size
      const after = account.credits + amount
      const paid = fields.text('reference')
      if (paid) checkReference(paid, kind)
      const [earlier] = paid ? await readEntriesOf(app.db, { account_id: account.id, references: [paid] }) : []
      if (earlier) {
        const { amount, created_at } = earlier
        const about = `${creditsText(amount)} at ${timeText(new Date(created_at))}`
        throw badField('reference', `is that of an entry of this account already (${about}): nothing was given`)
      }
      const allow_negative = fields.text('allow_negative') === 'yes'
      if (after < 0 && takes && !allow_negative) {
        throw badField(
          'amount',
          `cannot be so many: ${creditsText(after)} would be left. Tick “Take them even below zero” if you mean it`,
        )
      }
      return {
        title: takes ? `Take ${creditsText(size)} from ${who}?` : `Give ${creditsText(size)} to ${who}?`,
        effects: [
          `${who}: ${amountText(account.credits)} → ${creditsText(after)} to spend, as it stands now.`,
          `One entry of the kind ${kind} is written. It cannot be deleted, only made good by another one.`,
          ...(paid
            ? [`The entry has the payment reference ${paid}. A second one is refused, and the search finds it.`]
            : []),
          ...(after < 0 ? ['Below zero, no new job starts until credits are bought or given.'] : []),
        ],
        ...{ button: takes ? 'Take them' : 'Give them', reason: 'required', told: TOLD, grave: takes },
        numbers: account.credits,
        async act({ actor, reason = '', reference }) {
          const posted = { amount, kind, reference: paid || reference, reason, allow_negative }
          const { account: now } = await adjustCredits(app, actor, account.clerk_id, posted)
          const done = takes ? 'were taken from' : 'were given to'
          return {
            notice: `${creditsText(size)} ${size === 1 ? done.replace('were', 'was') : done} ${who}, who has ${creditsText(now.credits)} now.`,
          }
        },
      }
    },
    creditsForm,
  )

  ofAccount('revoke-all', async ({ id }, who) => {
    const [tokens, grants] = await Promise.all([listTokens(app.db, id, { limit: MAX_TOKENS }), listGrants(app.db, id)])
    return {
      title: `Revoke everything that ${who} has approved?`,
      effects: [
        `${countText(tokens.length, 'token')} and ${countText(grants.length, 'app')} lose access: here at once, elsewhere within five seconds.`,
        'Device logins that wait are denied. The person stays signed in at the browser, and can approve devices anew.',
      ],
      ...{ button: 'Revoke all', grave: true },
      async act({ actor }) {
        const revoked = await revokeAllTokens(app, actor, id)
        return { notice: `${countText(revoked, 'token')} revoked; no app has access any more.` }
      },
    }
  })

  ofAccount('revoke-token', async ({ id }, who, { fields }) => {
    const tokens = await listTokens(app.db, id, { limit: MAX_TOKENS })
    const token = tokens.find((one) => one.id === fields.text('token'))
    if (!token) throw tokenNotFound()
    const name = `“${shortText(token.name, 100) ?? 'Unnamed device'}” …${token.last_four}`
    return {
      title: `Revoke ${name} of ${who}?`,
      effects: ['It loses access: here at once, elsewhere within five seconds. This cannot be undone.'],
      ...{ button: 'Revoke it', grave: true },
      async act({ actor }) {
        await revokeOneToken(app, actor, id, token.id)
        return { notice: `${name} is revoked.` }
      },
    }
  })

  ofAccount('revoke-grant', async ({ id }, who, { fields }) => {
    const grant = (await listGrants(app.db, id)).find((one) => one.id === fields.text('grant'))
    if (!grant) throw badField('grant', 'is not an app that this person allows: it has been revoked already')
    const name = shortText(grant.name, 100) ?? grant.client_id
    return {
      title: `End the access of ${name} to ${who}?`,
      effects: ['All its tokens stop working. The person is asked again when they use it again.'],
      ...{ button: 'End it', grave: true },
      async act({ actor }) {
        await revokeOneGrant(app, actor, id, grant.id)
        return { notice: `${name} has no access any more.` }
      },
    }
  })

  ofAccount('close', async (account, who) => {
    const { id } = account
    if (account.closed_at) throw accountClosed()
    return {
      title: `Close the account of ${who}?`,
      effects: [...closing(account), 'This cannot be undone here.'],
      ...{ button: 'Close it', grave: true, reason: 'required' },
      async act({ actor, reason }) {
        await closeForOperator(app, actor, id, reason)
        return { notice: `The account of ${who} is closed.` }
      },
    }
  })

  ofAccount('erase', async (account, who) => {
    const { id, clerk_id } = account
    if (clerk_id === ERASED) throw badField('account', 'is erased already: nothing more was done')
    return {
      title: `Erase ${who}?`,
      effects: [
        ...(account.closed_at ? [] : ['The account is closed.', ...closing(account)]),
        'What says who it was is deleted: the Clerk id, names of devices, addresses, what jobs were about, and webhook messages.',
        'Amounts stay, so that every sum still adds up. Delete the person at the identity provider as well, or they can come back as a new account.',
        'This cannot be undone by anybody.',
      ],
      ...{ button: 'Erase for good', grave: true, reason: 'required' },
      async act({ actor, reason }) {
        await eraseForOperator(app, actor, id, clerk_id, reason)
        return { notice: 'The person is erased.' }
      },
    }
  })
}

/** What closing does to an account. */
const closing = ({ credits, held }: AccountRow): string[] => [
  held > 0 ? `Jobs that run end, and ${creditsText(held)} that they hold come back.` : 'No job runs.',
  'Every token, session and device login ends. Nothing is posted to the account any more: its jobs and credits are frozen.',
  `${creditsText(credits + held)} stay on it and cannot be spent. Refund purchases at Stripe first, if there are any to refund.`,
]

/** As in the API. @throws {ApiError} 400 */
function checkReference(reference: string, kind: string): void {
  if (kind !== 'topup')
    throw badField('reference', 'is only for what was paid outside of this service: leave it empty, or choose that')
  if (reference.length > MAX_REFERENCE) throw badField('reference', `must have at most ${MAX_REFERENCE} characters`)
  refuseOwnReference(reference)
}

/** Of changes whose entries carry the reason. */
export const TOLD = 'The person reads it beside the entry.'
