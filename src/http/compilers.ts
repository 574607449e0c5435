import AjvCompiler, { type BuildCompilerFromPool } from '@fastify/ajv-compiler'
import SerializerSelector from '@fastify/fast-json-stringify-compiler'
import type { FastifyServerOptions } from 'fastify'

/**
 * A keyword of our schemas: constraints that a handler enforces, with a better answer than the validator's. In the document
 * they stand among the others.
 */
export const DOCUMENTED = 'documented'

type Components = Parameters<BuildCompilerFromPool>[0]
type Route = { schema: unknown; httpPart?: string; httpStatus?: string }
type Compile = (route: Route) => unknown

/**
 * Compiles the schemas of the routes. Bodies are validated without coercion, which would turn `cost_estimate: null` into 0.
 * Query strings, paths and headers are text, so they are coerced. Equal schemas are compiled once, because most routes
 * share their error responses; this halves the start-up time.
 */
export const schemaController = {
  compilersFactory: {
    buildValidator: pooled((components, options: { customOptions?: object } = {}) => {
      const build = (coerceTypes: boolean) =>
        AjvCompiler()(components, {
          ...options,
          customOptions: {
            ...options.customOptions,
            keywords: [DOCUMENTED],
            coerceTypes,
            // With strictNumbers off while coercing, "Infinity" reaches the minimum and maximum checks and fails them.
            strictNumbers: !coerceTypes,
            removeAdditional: false,
            useDefaults: true,
          },
        }) as Compile
      const [strict, coercing] = [build(false), build(true)]
      return (route) => (route.httpPart === 'body' ? strict : coercing)(route)
    }),
    buildSerializer: pooled((components, options) => {
      const compile = SerializerSelector()(components, options as object) as Compile
      // Schemas of errors are for the document only. The fields of an error are chosen where it is declared.
      return (route) => (Number(route.httpStatus) >= 400 ? JSON.stringify : compile(route))
    }),
  },
} as NonNullable<FastifyServerOptions['schemaController']>

/** Shares one compiler among contexts with equal components; it compiles equal schemas once. */
function pooled<Options>(build: (components: Components, options: Options) => Compile) {
  const compilers = new Map<string, Compile>()
  return (components: Components, options: Options): Compile => {
    const key = JSON.stringify([components, options])
    const compiler = compilers.get(key) ?? once(build(components, options))
    compilers.set(key, compiler)
    return compiler
  }
}

function once(compile: Compile): Compile {
  const compiled = new Map<string, unknown>()
  return (route) => {
    const key = JSON.stringify([route.httpPart === 'body', Number(route.httpStatus) >= 400, route.schema])
    if (!compiled.has(key)) compiled.set(key, compile(route))
    return compiled.get(key)
  }
}
