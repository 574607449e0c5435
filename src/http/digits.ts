import type { FastifyInstance, FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface FastifyRequest {
    /** The first integer in the body's metadata that a number cannot hold, as it was sent; null: none */
    inexact: string | null
  }
}

/**
 * Parses JSON bodies as Fastify does, and notes where metadata has an integer whose digits the parsing changes, such as the ids of
 * some services: 9007199254740993 becomes 9007199254740992. Many clients send a JSON content type without a body, also with DELETE:
 * that counts as no body.
 */
export function noteInexactMetadata(app: FastifyInstance): void {
  app.decorateRequest('inexact', null)
  const parse = app.getDefaultJsonParser('ignore', 'ignore')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') return done(null, undefined)
    // Integers with fewer digits are exact. Most bodies cost no more than this test.
    if (/\d{16}/.test(body)) request.inexact = inexactIn(body)
    return parse(request as FastifyRequest, body, done)
  })
}

/** An integer literal, marked while parsing. */
class Inexact {
  readonly literal: string
  constructor(literal: string) {
    this.literal = literal
  }
}

/** The first integer in the metadata of a body that a number cannot hold; null: none, or the body is no JSON. */
function inexactIn(body: string): string | null {
  try {
    const parsed: unknown = JSON.parse(body, (_key, value, { source }: { source?: string } = {}) =>
      typeof value === 'number' && source !== undefined && isMangled(source, value) ? new Inexact(source) : value,
    )
    return find((parsed as { metadata?: unknown } | null)?.metadata)
  } catch {
    return null
  }
}

/** Digits that are printed as they were sent are fine, even if the number in memory differs: 38772632701357130. */
const isMangled = (literal: string, value: number) =>
  /^-?\d+$/.test(literal) && String(value) !== literal && BigInt(value) !== BigInt(literal)

function find(root: unknown): string | null {
  const pending = [root]
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (value instanceof Inexact) return value.literal
    if (typeof value === 'object' && value !== null) pending.push(...Object.values(value))
  }
  return null
}
