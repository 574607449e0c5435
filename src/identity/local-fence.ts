import type { FastifyRequest } from 'fastify'
import { isLoopback } from '../addresses.ts'
import { localIdentityOnly } from '../http/catalogue.ts'

/**
 * The fence of the local identity, which believes any e-mail address: only this machine may come in. A Host that is
 * not loopback is DNS rebinding or a published port, a forwarded header is a proxy in front.
 * @throws {ApiError} 403 local_identity
 */
export async function onlyThisMachine(request: FastifyRequest): Promise<void> {
  const { headers } = request
  // A host and a port, nothing that a URL parser would take for credentials or a path.
  const name = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d+)?$/i.exec(headers.host ?? '')?.[1]
  const forwarded = Object.keys(headers).some((name) => name === 'forwarded' || name.startsWith('x-forwarded-'))
  if (name && isLoopback(name) && !forwarded) return
  throw localIdentityOnly()
}
