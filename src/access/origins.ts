import type { Config } from '../config.ts'
import type { Db } from '../db/tables.ts'

/** How often other replicas' changes to the apps' origins are read, in ms; they join within 30 s. */
const REFRESH_MS = 15_000

/** Which web origins may speak for whoever uses them: configured ones and those of registered apps. */
export interface Origins {
  /** Our own origin: our pages, nobody else's */
  isOurs(origin: string | undefined): boolean
  /** Ours, or one that the operator allowed */
  isAllowed(origin: string): boolean
  /** Reads the apps' origins now; `list` of a moment ago stays in force where that fails */
  refresh(): Promise<void>
  /** Refreshes from time to time until `stop` is called */
  watch(onFailure: (error: Error) => void): void
  stop(): void
}

export function createOrigins(config: Config, db: Db): Origins {
  const fixed = [config.publicUrl, ...config.allowedOrigins]
  let allowed = new Set(fixed)
  let timer: NodeJS.Timeout | undefined

  const origins: Origins = {
    isOurs: (origin) => origin === config.publicUrl,
    isAllowed: (origin) => allowed.has(origin),
    async refresh() {
      const apps = await db.selectFrom('apps').select('origins').execute()
      allowed = new Set([...fixed, ...apps.flatMap((app) => app.origins)])
    },
    watch(onFailure) {
      timer = setInterval(() => origins.refresh().catch(onFailure), REFRESH_MS)
      timer.unref()
    },
    stop: () => clearInterval(timer),
  }
  return origins
}
