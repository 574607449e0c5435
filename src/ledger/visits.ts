import { LRUCache } from 'lru-cache'
import type { State } from './state.ts'

/** An account's use of an app. */
export interface Visit {
  account_id: string
  app: string
}

/** How long a replica believes that an app grants nothing, in ms; after it, what another replica has changed is seen. */
const QUIET_MS = 15_000

/**
 * Remembers uses of apps that grant nothing (more), so that a reserve need not read the account's apps. A grant that was made is
 * never undone; what an app offers may change.
 */
export function rememberVisits() {
  const known = new LRUCache<string, 'granted' | 'quiet'>({ max: 100_000 })
  const key = ({ account_id, app }: Visit) => `${account_id} ${app}`
  return {
    has: (visit: Visit): boolean => known.has(key(visit)),
    /** Whether the app's starter credits were granted, which is for good */
    isGranted: (visit: Visit): boolean => known.get(key(visit)) === 'granted',
    /**
     * @param state the account's after what was committed
     * @param wasRead whether the app was read for it: otherwise it is not known whether the app is registered
     */
    learn(visit: Visit, { grants, apps }: State, wasRead: boolean): void {
      const grant = grants?.get(visit.app)
      if (grant?.credits) known.set(key(visit), 'granted')
      else if (wasRead && grants && (grant || !apps.has(visit.app))) known.set(key(visit), 'quiet', { ttl: QUIET_MS })
    },
  }
}

export type Visits = ReturnType<typeof rememberVisits>
