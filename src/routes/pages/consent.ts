import { randomBytes } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { ApiError } from '../../http/errors.ts'
import {
  type Asked,
  AUTHORIZATION_PARAMETERS,
  answerUrl,
  type Recipient,
  readAsked,
  readRecipient,
} from '../../oauth/authorization-request.ts'
import { readForm } from '../../oauth/form.ts'
import { approve, grantAgain, maySpend } from '../../oauth/grants.ts'
import { approvalDenied, badParameter, framed } from '../../oauth/problems.ts'
import { isOnThisMachine } from '../../oauth/redirect-uris.ts'
import { AuthorizationForm, AuthorizationQuery } from '../../schemas/authorization-server.ts'
import { BudgetFault, type BudgetFields, budgetField, readBudget } from './budget-form.ts'
import { fromOurPages, html, page, redirectSources, signedIn } from './page.ts'
import { SCOPE_WORDS, shortText } from './words.ts'

type Person = NonNullable<Awaited<ReturnType<typeof signedIn>>>

/** What a sign-in can return to. */
const MAX_ADDRESS = 2_048

interface Request extends Recipient {
  asked: Asked
  /** The address of this page with its request */
  path: string
}

/** The page where a person approves or denies an app (RFC 6749, section 4.1). Only its buttons decide. */
export const consentPages: FastifyPluginAsyncTypebox = async (app) => {
  // What is wrong is said by readRecipient and readAsked.
  app.setValidatorCompiler(() => () => true)
  const { publicUrl } = app.config

  app.get(
    '/oauth/authorize',
    {
      // HEAD would approve again what was approved before.
      exposeHeadRoute: false,
      schema: {
        tags: ['OAuth'],
        operationId: 'authorize',
        summary: 'The page where a person lets an app use their account (RFC 6749, RFC 7636)',
        description:
          'Send the browser here. It comes back to redirect_uri with `code`, `state` and `iss`, or with `error`. A request whose client or redirect_uri is wrong is answered here and redirected nowhere.',
        security: [],
        querystring: AuthorizationQuery,
        response: {
          200: html('The consent page'),
          303: { description: 'To the sign-in, or to redirect_uri with `code` or `error`', type: 'null' },
          400: html('The client or its redirect_uri is wrong'),
          403: html('Shown in a frame, or refused by the local identity'),
          429: html('Too many requests'),
          500: html('Internal error'),
          503: html('The database is unavailable'),
        },
      },
    },
    async (request, reply) => {
      const { 'sec-fetch-dest': destination = 'document' } = request.headers
      if (destination !== 'document') throw framed()
      return answering(request.query, reply, async (wanted) => {
        const person = await signedIn(request, reply, wanted.path)
        if (!person) return reply
        // On this machine any program could be the one that comes by, and a document may have changed since: they ask each time.
        if (wanted.client.app_slug !== null && !isOnThisMachine(wanted.redirect_uri)) {
          const code = newCode()
          if (await grantAgain(app.db, approval(person, wanted), code)) return send(reply, wanted, { code })
        }
        return consentPage(reply, person, wanted)
      })
    },
  )

  app.post<{ Body: unknown }>(
    '/oauth/authorize',
    { onRequest: fromOurPages, schema: { hide: true, body: AuthorizationForm } },
    async (request, reply) =>
      answering(request.body, reply, async (wanted) => {
        const person = await signedIn(request, reply, wanted.path)
        if (!person) return reply
        const form = readForm(request.body, ['action', 'account', 'sure', 'in_front', 'budget', 'period'])
        const { action, account, sure, in_front } = form
        // Somebody else has signed in since the page was shown.
        if (account !== person.id) return consentPage(reply, person, wanted)
        if (action === 'deny') return refuse(reply, wanted, approvalDenied())
        if (action !== 'approve') return consentPage(reply, person, wanted)
        const faults = { tick: '', budget: '' }
        if (sure !== 'yes' && (needsTick(wanted.asked) || in_front !== 'yes'))
          faults.tick = 'Tick the box as well, if you want that.'
        const budget = chosenBudget(form, wanted, faults)
        if (faults.tick || faults.budget) return consentPage(reply.code(400), person, wanted, { faults, form })
        const code = newCode()
        await approve(app, approval(person, wanted), budget, code)
        return send(reply, wanted, { code })
      }),
  )

  /** Answers a request: with a page of ours where client or redirect_uri is wrong, else to the client. */
  async function answering(given: unknown, reply: FastifyReply, answer: (wanted: Request) => Promise<FastifyReply>) {
    let recipient: Recipient
    try {
      recipient = await readRecipient(app, given, reply.request.address)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      const { message, statusCode, headers } = error
      return refusedPage(reply.code(statusCode).headers(headers), message)
    }
    try {
      const asked = await readAsked(app, recipient.client, given)
      const query = new URLSearchParams(readForm(given, AUTHORIZATION_PARAMETERS))
      const path = `/oauth/authorize?${query}`
      if (publicUrl.length + path.length > MAX_ADDRESS) {
        throw badParameter('state', `makes the address longer than ${MAX_ADDRESS} characters`)
      }
      return await answer({ ...recipient, asked, path })
    } catch (error) {
      if (error instanceof ApiError && error.statusCode === 400) return refuseUnasked(reply, recipient, error)
      throw error
    }
  }

  /**
   * Tells a client what is wrong with its request. Where nobody has registered it, a person must follow a link for that: else
   * everybody could make links of ours that lead anywhere (RFC 9700, section 4.11.2).
   */
  function refuseUnasked(reply: FastifyReply, recipient: Recipient, error: ApiError) {
    const { client, redirect_uri } = recipient
    if (client.app_slug !== null || isOnThisMachine(redirect_uri)) return refuse(reply, recipient, error)
    const { code, message } = error
    const href = answerUrl(recipient, publicUrl, { error: code, error_description: message })
    return refusedPage(reply.code(400), message, { href, host: new URL(redirect_uri).host })
  }

  const refusedPage = (reply: FastifyReply, message: string, onward?: { href: string; host: string }) =>
    page(reply, 'consent-refused', { title: 'This link does not work', message, onward, request_id: reply.request.id })

  const send = (reply: FastifyReply, recipient: Recipient, answer: Parameters<typeof answerUrl>[2]) =>
    reply.header('cache-control', 'no-store').redirect(answerUrl(recipient, publicUrl, answer), 303)

  const refuse = (reply: FastifyReply, recipient: Recipient, { code, message }: ApiError) =>
    send(reply, recipient, { error: code, error_description: message })

  function consentPage(
    reply: FastifyReply,
    person: Person,
    wanted: Request,
    { faults, form = {} }: { faults?: Faults; form?: BudgetFields } = {},
  ) {
    const { client, redirect_uri, asked, path } = wanted
    const { host, pathname } = new URL(redirect_uri)
    const local = isOnThisMachine(redirect_uri)
    const unregistered = client.app_slug === null
    const name = shortText(client.name, 100)
    return page(
      reply,
      'consent',
      {
        title: 'Allow this app?',
        shown_as: person.shown_as,
        account: person.id,
        parameters: [...new URLSearchParams(path.split('?', 2)[1])],
        name,
        calls_itself: shortText(client.calls_itself, 60),
        unregistered,
        elsewhere: unregistered && host !== client.name,
        host,
        local,
        place: local ? `a program on this computer (${host})` : `${host}${pathname === '/' ? '' : pathname}`,
        resource: asked.resource,
        owner: asked.resource === null ? undefined : shortText(asked.app_name, 100),
        scopes: asked.scopes.map((scope) => ({
          scope,
          words: asked.resource !== null && scope === 'account' ? 'See who you are' : SCOPE_WORDS[scope],
        })),
        tick: needsTick(asked)
          ? `Yes, ${name} may use my connected services, such as X, on my behalf.`
          : faults?.tick && `Yes, ${name} may use my account.`,
        fault: faults?.tick,
        spends: maySpend(asked),
        ...budgetField({ required: mustLimit(wanted), given: form, fault: faults?.budget }),
        back: publicUrl + path,
      },
      { formTarget: redirectSources(redirect_uri) },
    )
  }

  const approval = (person: Person, { client, redirect_uri, asked }: Request) => ({
    ...asked,
    redirect_uri,
    account_id: person.id,
    client_id: client.client_id,
  })
}

/**
 * What a person decides with. A click proves that they meant it only where the page was in front for a while before, which its script
 * says as `in_front`: another page could have covered it until the second click of a double-click. Where it does not say so, and always
 * for what reaches beyond this service, the person ticks a box as well.
 */
const needsTick = ({ scopes }: Asked): boolean => scopes.includes('oauth')

/** What is wrong with what a person has sent; '': nothing */
interface Faults {
  tick: string
  budget: string
}

/**
 * The budget of a form; notes in `faults` what is wrong with it. Typing it is a second step beside the click, so it is required where a
 * server or an unregistered client could spend.
 */
function chosenBudget(form: BudgetFields, wanted: Request, faults: Faults) {
  if (!maySpend(wanted.asked)) return undefined
  try {
    const budget = readBudget(form)
    if (!budget && mustLimit(wanted)) faults.budget = 'Enter how many credits it may spend.'
    return budget
  } catch (error) {
    if (!(error instanceof BudgetFault)) throw error
    faults.budget = error.message
    return undefined
  }
}

/** Who is not registered gets no credits without a limit either. */
const mustLimit = ({ client, asked }: Request): boolean =>
  asked.scopes.includes('spend') || (client.app_slug === null && maySpend(asked))

const newCode = () => randomBytes(32).toString('base64url')
