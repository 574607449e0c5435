import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { requireSession } from '../access/caller.ts'
import { tokenSecret } from '../access/tokens.ts'
import { plainAddress } from '../addresses.ts'
import type { Scope } from '../db/tables.ts'
import { completeDevice, startDevice } from '../device/approval.ts'
import { type Polled, pollDevice } from '../device/client.ts'
import { badField } from '../http/errors.ts'
import { bodyFailures, failures, Timestamp } from '../schemas/all.ts'

const SCOPES: readonly string[] = ['account', 'oauth', 'admin'] satisfies Scope[]

const DeviceCode = Type.String({ minLength: 1, maxLength: 200, description: 'The device_code of the start' })

/** Of routes that ask for no sign-in. */
const openQueryFailures = {
  400: failures.invalid,
  403: failures.forbidden('local_identity', 'The local identity answers only this machine.'),
  500: failures.internal,
  503: failures.unavailable,
}
const openFailures = { ...openQueryFailures, 413: failures.tooLarge, 415: failures.unsupported }

const pollResponses = {
  200: Type.Object(
    {
      token: Type.String({ description: 'A personal access token: send it as Authorization: Bearer' }),
      token_type: Type.String(),
      expires_at: Timestamp,
      name: Type.Unsafe<string | null>({
        type: 'string',
        nullable: true,
        description: 'What the account page calls the person who approved, such as an e-mail address; null if unknown',
      }),
    },
    {
      description: 'Token ready. The same answer is given again for a minute, should the first be lost',
      examples: [
        {
          token: 'focus_pat_3fQ9…',
          token_type: 'Bearer',
          expires_at: '2027-02-19T12:00:00.000Z',
          name: 'ada@example.com',
        },
      ],
    },
  ),
  202: Type.Object(
    { status: Type.String(), interval: Type.Integer({ description: 'Seconds to wait before the next poll' }) },
    { description: 'Pending: nobody has decided yet', examples: [{ status: 'pending', interval: 5 }] },
  ),
  404: failures.notFound('unknown_device_code', 'There is no such device code; start the login again.'),
  410: {
    ...failures.gone('expired_token', 'This code has expired; start the login again on the device.'),
    description: 'Expired: expired_token, access_denied (denied), or already_used (the token was fetched)',
  },
  429: {
    ...failures.limited,
    description: 'slow_down: polled too soon; from now on wait `interval` seconds. Or rate_limited: too many requests',
    content: {
      'application/json': {
        ...failures.limited.content['application/json'],
        example: { error: 'slow_down', message: 'Poll every 10 seconds.', interval: 10 },
      },
    },
  },
}

export const deviceRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const minting = { secret: await tokenSecret(app.config, app.db), ttlDays: app.config.patTtlDays }

  // A start needs no body, but many clients say that it is JSON all the same.
  const parseJson = app.getDefaultJsonParser('ignore', 'ignore')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined)
    else parseJson(request, body as string, done)
  })
  // Codes and tokens are for one reader.
  app.addHook('onRequest', async (_, reply) => void reply.header('cache-control', 'no-store'))

  app.post(
    '/api/device/start',
    {
      preValidation: async (request) => {
        request.body ??= {}
      },
      schema: {
        tags: ['Device'],
        summary: 'Start device-code login',
        security: [],
        body: Type.Object(
          {
            client_name: Type.Optional(
              Type.String({
                maxLength: 100,
                description: 'What the device calls itself, such as a program and the name of the machine',
              }),
            ),
            scope: Type.Optional(
              Type.String({
                maxLength: 200,
                description: `What the token is for, separated by spaces: ${SCOPES.join(', ')}; without it, account`,
              }),
            ),
          },
          { examples: [{ client_name: 'focus on ada-laptop', scope: 'account' }] },
        ),
        response: {
          200: Type.Object(
            {
              device_code: Type.String({ description: 'A secret of the device: poll with it' }),
              user_code: Type.String({ description: 'For the person to compare or to type' }),
              verification_uri: Type.String({ description: 'Where the person goes' }),
              verification_uri_complete: Type.String({ description: 'The same with the code in it' }),
              expires_in: Type.Integer({ description: 'Seconds' }),
              interval: Type.Integer({ description: 'Seconds to wait between polls' }),
            },
            {
              description: 'OK',
              examples: [
                {
                  device_code: 'GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS_4',
                  user_code: 'WDJB-1234',
                  verification_uri: 'https://account.thefocus.ai/device',
                  verification_uri_complete: 'https://account.thefocus.ai/device?user_code=WDJB-1234',
                  expires_in: 900,
                  interval: 5,
                },
              ],
            },
          ),
          429: failures.limited,
          ...openFailures,
        },
      },
    },
    async (request) => {
      const { client_name, scope } = request.body
      const started = await startDevice(app.db, {
        client_name: cleanName(client_name),
        scopes: readScopes(scope),
        requested_from: plainAddress(request.ip),
      })
      const verification_uri = `${app.config.publicUrl}/device`
      return {
        ...started,
        verification_uri,
        verification_uri_complete: `${verification_uri}?user_code=${started.user_code}`,
      }
    },
  )

  app.get(
    '/api/device/poll',
    {
      schema: {
        tags: ['Device'],
        summary: 'Poll for device token',
        security: [],
        querystring: Type.Object({ device_code: DeviceCode }),
        response: { ...pollResponses, ...openQueryFailures },
      },
    },
    async (request, reply) => answer(reply, await pollDevice(app.db, request.query.device_code, minting)),
  )

  app.post(
    '/api/device/poll',
    {
      schema: {
        tags: ['Device'],
        summary: 'Poll for device token, with the code in the body: it stays out of the logs of proxies',
        security: [],
        body: Type.Object(
          { device_code: DeviceCode },
          { examples: [{ device_code: 'GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS_4' }] },
        ),
        response: { ...pollResponses, ...openFailures },
      },
    },
    async (request, reply) => answer(reply, await pollDevice(app.db, request.body.device_code, minting)),
  )

  app.post(
    '/api/device/complete',
    {
      onRequest: requireSession,
      schema: {
        tags: ['Device'],
        summary: 'Complete device login (browser, requires Clerk session)',
        body: Type.Object(
          {
            user_code: Type.String({ maxLength: 100, description: 'As typed: case, dash and spaces do not matter' }),
            action: Type.Optional(
              Type.Unsafe<'approve' | 'deny'>({ type: 'string', enum: ['approve', 'deny'], default: 'approve' }),
            ),
          },
          { examples: [{ user_code: 'WDJB-1234', action: 'approve' }] },
        ),
        response: {
          200: Type.Object({ ok: Type.Boolean() }, { description: 'OK', examples: [{ ok: true }] }),
          ...bodyFailures,
          400: { ...failures.invalid, description: 'Invalid code: malformed, or no device shows it' },
          403: failures.forbidden('origin_not_allowed', 'This can be done on our own pages only.'),
          410: failures.gone('already_used', 'This code was used already; start the login again on the device.'),
        },
      },
    },
    async (request) => {
      const { user_code, action = 'approve' } = request.body
      const { id: account_id, clerk_id } = request.account
      await completeDevice(app.db, { account_id, clerk_id, address: request.ip }, user_code, action)
      return { ok: true }
    },
  )
}

function answer(reply: FastifyReply, polled: Polled) {
  if ('token' in polled) return { ...polled, token_type: 'Bearer' }
  reply.code(202)
  return { status: 'pending', interval: polled.interval }
}

/** Without what cannot be seen: a name is shown to whoever approves, and must not turn the text around it. */
const cleanName = (name = ''): string | null => name.replace(/[\p{C}\p{Z}\s]+/gu, ' ').trim() || null

/** @throws {ApiError} 400 for a scope that there is not */
function readScopes(scope = ''): Scope[] {
  const asked = new Set(scope.split(/\s+/).filter(Boolean))
  const odd = [...asked].find((name) => !SCOPES.includes(name))
  if (odd !== undefined) throw badField('scope', `must be made of ${SCOPES.join(', ')}, separated by spaces`)
  return asked.size ? ([...asked] as Scope[]) : ['account']
}
