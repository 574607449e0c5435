import type { Config } from '../config.ts'
import type { Db } from '../db/tables.ts'

/** Which web origins may act for the people who use them: configured ones and those of registered apps. */
export interface Origins {
  /** Our own origin, that of PUBLIC_URL */
  isOurs(origin: string | undefined): boolean
  /** Our own, or one that the operator allowed */
  isAllowed(origin: string): boolean
  /** Reads the apps' origins. Where that fails, the last ones that were read stay in force. */
  refresh(): Promise<void>
}

export function createOrigins(config: Config, db: Db): Origins {
  const fixed = [config.publicUrl, ...config.allowedOrigins]
  let allowed = new Set(fixed)
  return {
    isOurs: (origin) => origin === config.publicUrl,
    isAllowed: (origin) => allowed.has(origin),
    async refresh() {
      const apps = await db.selectFrom('apps').select('origins').execute()
      allowed = new Set([...fixed, ...apps.flatMap((app) => app.origins)])
    },
  }
}
