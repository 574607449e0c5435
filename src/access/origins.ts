import type { Config } from '../config.ts'
import type { Db } from '../db/tables.ts'

/** Which web origins may act for the people who use them: configured ones and those of registered apps. */
export interface Origins {
  /** Our own origin, that of PUBLIC_URL */
  isOurs(origin: string | undefined): boolean
  /** Our own, or one that the operator allowed */
  isAllowed(origin: string): boolean
  /** Whether a sign-in may return to an address of an allowed origin: apps can narrow that to some of their paths */
  mayReturn(url: URL): boolean
  /** The name of the registered app at this origin, or its slug; undefined: no registered app */
  appName(origin: string): string | undefined
  /** Reads the apps' origins. Where that fails, the last ones that were read stay in force. */
  refresh(): Promise<void>
}

/** A pattern of what `return_paths` of an app may have: a path; with a slash at its end, all paths below it. */
export const RETURN_PATH = '^/([^/?#\\\\\\s][^?#\\\\\\s]*)?$'

export function createOrigins(config: Config, db: Db): Origins {
  const fixed = [config.publicUrl, ...config.allowedOrigins]
  let allowed = new Set(fixed)
  let names = new Map<string, string>()
  let paths = new Map<string, string[]>()
  let started = 0
  let applied = 0
  return {
    isOurs: (origin) => origin === config.publicUrl,
    isAllowed: (origin) => allowed.has(origin),
    mayReturn: ({ origin, pathname }) =>
      fixed.includes(origin) ||
      (paths.get(origin) ?? []).some((path) => (path.endsWith('/') ? pathname.startsWith(path) : pathname === path)),
    appName: (origin) => names.get(origin),
    async refresh() {
      const turn = ++started
      const apps = await db
        .selectFrom('apps')
        .select(['slug', 'name', 'origins', 'return_paths'])
        .orderBy('slug', 'desc')
        .execute()
      // Refreshes may end in another order than they began in: an older one must not undo a younger one.
      if (turn < applied) return
      applied = turn
      // Where two apps share an origin, the first slug names it.
      names = new Map(apps.flatMap(({ slug, name, origins }) => origins.map((origin) => [origin, name ?? slug])))
      // An app without paths allows all; of several apps at one origin, each allows its own.
      paths = new Map()
      for (const { origins, return_paths } of apps) {
        const own = return_paths.length ? return_paths : ['/']
        for (const origin of origins) paths.set(origin, [...(paths.get(origin) ?? []), ...own])
      }
      allowed = new Set([...fixed, ...names.keys()])
    },
  }
}
