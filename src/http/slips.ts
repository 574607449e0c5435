import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { fieldSlip } from './catalogue.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The fields of the route's JSON body, by their letters; set by `refuseSlips` */
    fields?: Map<string, string>
  }
}

/**
 * Refuses fields of a JSON body that look like a misspelled field of the route, such as `refunds` or `ttlSeconds`: ignoring them would
 * move money differently than the caller meant. Other unknown fields are ignored. Call it before adding routes.
 */
export function refuseSlips(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    const names = isOurs(route) ? fieldsOf(app, (route.schema as { body?: Schema } | undefined)?.body) : []
    if (names.length > 0)
      route.config = { ...route.config, fields: new Map(names.map((name) => [lettersOf(name), name])) }
  })
  app.addHook('preValidation', async ({ body, routeOptions }: FastifyRequest) => {
    const { fields } = routeOptions.config
    if (!fields || typeof body !== 'object' || body === null) return
    const known = [...fields.values()]
    for (const name of Object.keys(body)) {
      if (known.includes(name)) continue
      const letters = lettersOf(name)
      const meant = fields.get(letters) ?? known.find((field) => isOneEditAway(letters, lettersOf(field)))
      if (meant !== undefined) throw fieldSlip(name, meant)
    }
  })
}

/** Forms of pages and webhooks from other services are not described by our schemas. */
const isOurs = ({ url }: RouteOptions) => url.startsWith('/api/') && !url.startsWith('/api/webhooks/')

interface Schema {
  $ref?: string
  properties?: Record<string, unknown>
}

function fieldsOf(app: FastifyInstance, schema: Schema | undefined): string[] {
  const { $ref } = schema ?? {}
  const whole = $ref ? (app.getSchema($ref.replace('#', '')) as Schema | undefined) : schema
  return Object.keys(whole?.properties ?? {})
}

const lettersOf = (name: string) => name.toLowerCase().replaceAll('_', '')

/** Whether one letter was added, left out or replaced, or two neighbours were swapped. */
function isOneEditAway(one: string, other: string): boolean {
  const [short, long] = one.length < other.length ? [one, other] : [other, one]
  if (long.length - short.length > 1) return false
  let at = 0
  while (at < short.length && short[at] === long[at]) at++
  if (long.length > short.length) return short.slice(at) === long.slice(at + 1)
  const rest = [short.slice(at), long.slice(at)] as const
  const swapped = rest[0][0] === rest[1][1] && rest[0][1] === rest[1][0] && rest[0].slice(2) === rest[1].slice(2)
  return rest[0].slice(1) === rest[1].slice(1) || (rest[0].length > 1 && swapped)
}
