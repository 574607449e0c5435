import type { FastifyRequest } from 'fastify'
import { isLoopback } from '../addresses.ts'
import { localIdentityOnly } from '../http/catalogue.ts'

/**
 * An onRequest hook for the local identity, which accepts any e-mail address: refuses requests that may come from another
 * machine. A Host other than loopback means DNS rebinding or a published port; a forwarding header means a proxy.
 * @throws {ApiError} 403 local_identity
 */
export async function onlyThisMachine(request: FastifyRequest): Promise<void> {
  const { headers } = request
  // Only a host and a port; nothing that a URL parser would read as credentials or a path.
  const name = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d+)?$/i.exec(headers.host ?? '')?.[1]
  const forwarded = Object.keys(headers).some((name) => name === 'forwarded' || name.startsWith('x-forwarded-'))
  if (name && isLoopback(name) && !forwarded) return
  throw localIdentityOnly()
}
