import AjvCompiler, { type BuildCompilerFromPool } from '@fastify/ajv-compiler'
import SerializerSelector from '@fastify/fast-json-stringify-compiler'
import type { FastifyServerOptions } from 'fastify'

type Components = Parameters<BuildCompilerFromPool>[0]
type Route = { schema: unknown; httpPart?: string }
type Compile = (route: Route) => unknown

/**
 * How the schemas of the routes become code. Bodies are taken as they are: Ajv's coercion would make
 * `cost_estimate: null` a free job. Queries, paths and headers are text by nature and are coerced.
 *
 * Most routes share most of their answers, so equal schemas are compiled once: that is half the time of a start.
 */
export const schemaController = {
  compilersFactory: {
    buildValidator: pooled((components, options: { customOptions?: object } = {}) => {
      const build = (coerceTypes: boolean) =>
        AjvCompiler()(components, {
          ...options,
          customOptions: {
            ...options.customOptions,
            coerceTypes,
            // Else Ajv coerces "Infinity" to a number and then leaves it out of maximum and minimum.
            strictNumbers: !coerceTypes,
            removeAdditional: false,
            useDefaults: true,
          },
        }) as Compile
      const [strict, coercing] = [build(false), build(true)]
      return (route) => (route.httpPart === 'body' ? strict : coercing)(route)
    }),
    buildSerializer: pooled((components, options) => SerializerSelector()(components, options as object) as Compile),
  },
} as NonNullable<FastifyServerOptions['schemaController']>

/** One compiler for equal components, which compiles equal schemas once. */
function pooled<Options>(build: (components: Components, options: Options) => Compile) {
  const compilers = new Map<string, Compile>()
  return (components: Components, options: Options): Compile => {
    const key = JSON.stringify([components, options])
    const known = compilers.get(key) ?? once(build(components, options))
    compilers.set(key, known)
    return known
  }
}

function once(compile: Compile): Compile {
  const compiled = new Map<string, unknown>()
  return (route) => {
    const key = JSON.stringify([route.httpPart === 'body', route.schema])
    if (!compiled.has(key)) compiled.set(key, compile(route))
    return compiled.get(key)
  }
}
