import type { FastifyInstance } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** The methods that a path takes; none where no route has it */
    methodsOf(path: string): string[]
  }
}

/** Decorates the app with `methodsOf`, which tells a wrong method from a wrong path. Call it before adding routes. */
export function registerKnownPaths(app: FastifyInstance): void {
  const paths = new Map<string, { shape: RegExp; methods: string[] }>()
  app.addHook('onRoute', ({ url, method }) => {
    // Files are looked for by their route, and CORS answers OPTIONS of every path.
    if (url.includes('*') || isConsole(url)) return
    const known = paths.get(url) ?? { shape: shapeOf(url), methods: [] }
    known.methods.push(...[method].flat())
    paths.set(url, known)
  })
  app.decorate('methodsOf', (path) => {
    const matching = [...paths.values()].filter(({ shape }) => shape.test(path))
    return [...new Set(matching.flatMap(({ methods }) => methods))].sort()
  })
}

/** Only administrators learn which paths the console has: routes/pages/console/gate.ts. */
export const isConsole = (path: string): boolean => /^\/console(\/|$)/.test(path)

function shapeOf(url: string): RegExp {
  const parts = url.split('/').map((part) => (part.startsWith(':') ? '[^/]+' : RegExp.escape(part)))
  return new RegExp(`^${parts.join('/')}$`)
}
