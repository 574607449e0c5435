import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { addressOwner, isLoopback } from '../../addresses.ts'
import {
  completeDevice,
  type Decision,
  type DeviceRequest,
  findDeviceRequest,
  readUserCode,
} from '../../device/approval.ts'
import { codeExpired, codeUsed } from '../../http/catalogue.ts'
import { ApiError } from '../../http/errors.ts'
import { cameDirectly, fromOurPages, page, signedIn } from './page.ts'
import { agoText, daysText, SCOPE_WORDS, shortText, timeText } from './words.ts'

interface DeviceForm {
  user_code?: unknown
  action?: unknown
  /** The code of the request that the page showed when the person decided */
  shown?: unknown
  /** Set by the sign-in page for links that another site opened, so that signing in does not make them links of ours */
  must_type?: unknown
}

type Person = NonNullable<Awaited<ReturnType<typeof signedIn>>>

/** The page where a person approves or denies a device (RFC 8628, section 3.3). Only its buttons decide. */
export const devicePages: FastifyPluginAsyncTypebox = async (app) => {
  app.get<{ Querystring: DeviceForm }>('/device', { schema: { hide: true } }, async (request, reply) => {
    const code = text(request.query.user_code)
    const mustType = request.query.must_type !== undefined || !cameDirectly(request)
    const person = await signedIn(request, reply, withCode(code, { mustType }))
    if (!person) return reply
    if (!code) return enterPage(reply, person)
    return answering(reply, person, '', async () => {
      const asked = await findDeviceRequest(app.db, guesser(request, person), code, 'link').catch((error) => {
        // Links are not followed for a while, but codes can be typed: that has a budget of its own.
        if (error instanceof ApiError && error.statusCode === 429) return undefined
        throw error
      })
      return asked ? decidePage(request, reply, person, asked, { fromLink: true, mustType }) : enterPage(reply, person)
    })
  })

  app.post<{ Body: DeviceForm | undefined }>(
    '/device',
    { onRequest: fromOurPages, schema: { hide: true } },
    async (request, reply) => {
      const { user_code, action, shown } = request.body ?? {}
      const code = text(user_code)
      const person = await signedIn(request, reply, withCode(code || text(shown), { mustType: true }))
      if (!person) return reply
      const decision: Decision | undefined = action === 'approve' || action === 'deny' ? action : undefined
      // Denying the request on the page needs no typed code.
      const meant = decision === 'deny' ? text(shown) : code
      return answering(reply, person, meant, async () => {
        const asked = await findDeviceRequest(app.db, guesser(request, person), meant)
        // A code of another request than the one on the page: show that request first.
        if (!decision || readUserCode(text(shown)) !== asked.user_code) {
          return decidePage(request, reply, person, asked, { fromLink: false, mustType: false })
        }
        const who = { ...guesser(request, person), clerk_id: person.clerk_id }
        await completeDevice(app.db, who, meant, decision)
        return resultPage(reply, decision === 'approve' ? 'approved' : 'denied', asked)
      })
    },
  )

  function enterPage(reply: FastifyReply, person: Person, code = '', fault = '') {
    return page(reply, 'device-enter', { title: 'Connect a device', shown_as: person.shown_as, code, fault })
  }

  /**
   * The page with the two buttons. One click approves only what the person has typed the code of, or what a link leads to that
   * they opened themselves, on the device's own address: another site could have opened the page under the second click of a
   * double-click. An administrator's token always needs the code typed on this page.
   */
  function decidePage(
    request: FastifyRequest,
    reply: FastifyReply,
    person: Person,
    asked: DeviceRequest,
    { fromLink, mustType }: { fromLink: boolean; mustType: boolean },
  ) {
    const isFar = !isNear(request, asked)
    const typed = mustType || (fromLink && isFar) || asked.scopes.includes('admin')
    const { status, expired, account_id } = asked
    if (status !== 'pending') {
      const mine = account_id === person.id
      if (mine && !(expired && status === 'approved')) {
        return resultPage(reply, status === 'denied' ? 'denied' : 'approved', asked)
      }
      return resultPage(reply.code(410), expired && status === 'approved' ? 'expired' : 'used', asked)
    }
    if (expired) return resultPage(reply.code(410), 'expired', asked)
    return page(reply, 'device-decide', {
      title: 'Allow this device?',
      shown_as: person.shown_as,
      back: app.config.publicUrl + withCode(asked.user_code, { mustType }),
      code: asked.user_code,
      must_type: typed,
      client_name: nameOf(asked),
      days: daysText(app.config.patTtlDays),
      scopes: asked.scopes.map((scope) => ({ scope, words: SCOPE_WORDS[scope] ?? scope })),
      ago: agoText(asked.created_at),
      at: timeText(asked.created_at),
      from: asked.requested_from ?? 'unknown',
      far: isFar,
      here: request.address,
    })
  }

  function resultPage(reply: FastifyReply, outcome: Outcome, asked?: DeviceRequest) {
    const name = asked ? nameOf(asked) : undefined
    return page(reply, 'device-result', { ...RESULTS[outcome](name), outcome, days: daysText(app.config.patTtlDays) })
  }

  /** Shows the errors that concern the code on the page. @throws every other error */
  async function answering(reply: FastifyReply, person: Person, code: string, answer: () => Promise<FastifyReply>) {
    try {
      return await answer()
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      if (error.code === codeExpired.code) return resultPage(reply.code(410), 'expired')
      if (error.code === codeUsed.code) return resultPage(reply.code(410), 'used')
      if (![400, 409, 429].includes(error.statusCode)) throw error
      return enterPage(reply.code(error.statusCode).headers(error.headers), person, code, error.message)
    }
  }
}

type Outcome = 'approved' | 'denied' | 'expired' | 'used'

const RESULTS: Record<Outcome, (name?: string) => { title: string; message: string }> = {
  approved: (name) => ({
    title: 'Device approved',
    message: `${name ? `“${name}”` : 'The device'} can now use your account. You can close this window and return to the device.`,
  }),
  denied: (name) => ({
    title: 'Device denied',
    message: `${name ? `“${name}”` : 'The device'} has no access to your account. You can close this window.`,
  }),
  expired: () => ({
    title: 'This code has expired',
    message: 'The device was not approved. Start the login again on the device. You can close this window.',
  }),
  used: () => ({
    title: 'This code has already been used',
    message: 'It works once only. Start the login again on the device. You can close this window.',
  }),
}

const nameOf = ({ client_name }: DeviceRequest) => shortText(client_name, 100)

const guesser = (request: FastifyRequest, person: Person) => ({ account_id: person.id, address: request.address })

/** A parameter may be missing or repeated. No code is longer than 100 characters, however it is typed. */
const text = (value: unknown): string => (typeof value === 'string' ? value.trim().slice(0, 100) : '')

const withCode = (code: string, { mustType = false } = {}) =>
  code ? `/device?${new URLSearchParams({ user_code: code, ...(mustType && { must_type: '1' }) })}` : '/device'

/** The device and the person have the same IPv4 address or IPv6 network, or both are on this machine. */
function isNear({ address: here }: FastifyRequest, { requested_from }: DeviceRequest): boolean {
  if (!requested_from) return false
  return addressOwner(here) === addressOwner(requested_from) || (isLoopback(here) && isLoopback(requested_from))
}
