import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { callerOf, requireSession } from '../access/caller.ts'
import { readScopes, SCOPES } from '../access/scopes.ts'
import { tokenSecret } from '../access/tokens.ts'
import { cleanName, completeDevice, startDevice, verificationUris } from '../device/approval.ts'
import { type Polled, pollDevice } from '../device/client.ts'
import {
  accountClosed,
  badField,
  codeExpired,
  codeUsed,
  invalidCode,
  loginDenied,
  ownPagesOnly,
  sessionRequired,
  slowDown,
  tokenFetched,
  tooManyLogins,
  tooManyTokens,
  tooManyWrongCodes,
  unknownDeviceCode,
} from '../http/catalogue.ts'
import { anyRequest, jsonBody, refusals, signedIn } from '../http/refusals.ts'
import { DeviceAuthorization } from '../schemas/device.ts'
import { nullable, Timestamp } from '../schemas/primitives.ts'

const DeviceCode = Type.String({
  minLength: 1,
  maxLength: 200,
  description: 'The device_code that /api/device/start returned',
})

const polled = {
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
      description: 'The token. For a minute, a repeated poll gets the same answer, in case the first was lost',
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
    { description: 'Pending: the person has not decided yet', examples: [{ status: 'pending', interval: 5 }] },
  ),
}
const pollErrors = [...anyRequest, unknownDeviceCode, codeExpired, loginDenied, tokenFetched, slowDown]

export const deviceRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const minting = { secret: await tokenSecret(app.config, app.db), ttlDays: app.config.patTtlDays }

  // Codes and tokens must not be stored by caches.
  app.addHook('onRequest', async (_, reply) => void reply.header('cache-control', 'no-store'))

  app.post(
    '/api/device/start',
    {
      schema: {
        tags: ['Device'],
        operationId: 'startDeviceLogin',
        summary: 'Start device-code login',
        description:
          'The device shows `user_code` and `verification_uri` to the person, and polls with `device_code`. The body may be absent.',
        security: [],
        body: nullable(
          Type.Object(
            {
              client_name: Type.Optional(
                Type.String({
                  maxLength: 100,
                  description: 'The name of the device, such as the program and the machine; shown to the person',
                }),
              ),
              scope: Type.Optional(
                Type.String({
                  maxLength: 200,
                  documented: { pattern: `^\\s*((${SCOPES.join('|')})(\\s+|$))*$` },
                  description: `What the token may be used for, separated by spaces: ${SCOPES.join(', ')}; default: account`,
                }),
              ),
            },
            { examples: [{ client_name: 'focus on ada-laptop', scope: 'account' }] },
          ),
        ),
        response: {
          200: DeviceAuthorization,
          ...refusals(anyRequest, jsonBody, tooManyLogins),
        },
      },
    },
    async (request) => {
      const { client_name, scope } = request.body ?? {}
      const scopes = readScopes(scope, SCOPES)
      if (!scopes) throw badField('scope', `must be one or more of ${SCOPES.join(', ')}, separated by spaces`)
      const started = await startDevice(app.db, {
        client_name: cleanName(client_name),
        scopes,
        requested_from: request.address,
      })
      return { ...started, ...verificationUris(app.config, started) }
    },
  )

  app.get(
    '/api/device/poll',
    {
      schema: {
        tags: ['Device'],
        operationId: 'pollDeviceLoginByQuery',
        summary: 'Poll for device token',
        description: 'The same as the POST. The code is part of the address, which proxies may log: prefer the POST.',
        security: [],
        querystring: Type.Object({ device_code: DeviceCode }),
        response: { ...polled, ...refusals(pollErrors) },
      },
    },
    async (request, reply) => answer(reply, await pollDevice(app.db, request.query.device_code, minting)),
  )

  app.post(
    '/api/device/poll',
    {
      schema: {
        tags: ['Device'],
        operationId: 'pollDeviceLogin',
        summary: 'Poll for device token, with the code in the body so that no proxy logs it',
        description: 'Poll every `interval` seconds. 202 means that the person has not decided yet.',
        security: [],
        body: Type.Object(
          { device_code: DeviceCode },
          { examples: [{ device_code: 'GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS_4' }] },
        ),
        response: { ...polled, ...refusals(pollErrors, jsonBody) },
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
        operationId: 'completeDeviceLogin',
        summary: 'Complete device login (browser, requires Clerk session)',
        description:
          'Approves or denies the login whose code the person typed. Only a person who is signed in on our own page can do this.',
        body: Type.Object(
          {
            user_code: Type.String({ maxLength: 100, description: 'As typed; case, dashes and spaces do not matter' }),
            action: Type.Optional(
              Type.Unsafe<'approve' | 'deny'>({ type: 'string', enum: ['approve', 'deny'], default: 'approve' }),
            ),
          },
          { examples: [{ user_code: 'WDJB-1234', action: 'approve' }] },
        ),
        response: {
          200: Type.Object({ ok: Type.Boolean() }, { description: 'OK', examples: [{ ok: true }] }),
          ...refusals(
            ownPagesOnly,
            signedIn,
            jsonBody,
            sessionRequired,
            accountClosed,
            invalidCode,
            codeExpired,
            codeUsed,
            tooManyTokens,
            tooManyWrongCodes,
          ),
        },
      },
    },
    async (request) => {
      const { user_code, action = 'approve' } = request.body
      const { id: account_id, clerk_id } = callerOf(request)
      await completeDevice(app.db, { account_id, clerk_id, address: request.address }, user_code, action)
      return { ok: true }
    },
  )
}

function answer(reply: FastifyReply, result: Polled) {
  if ('token' in result) return { ...result, token_type: 'Bearer' }
  reply.code(202)
  return { status: 'pending', interval: result.interval }
}
