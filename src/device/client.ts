import { v7 as uuidv7 } from 'uuid'
import { derivePat, hashOf } from '../access/tokens.ts'
import { gatherRows } from '../db/gather.ts'
import { statement } from '../db/statement.ts'
import type { Db, DeviceStatus, Scope } from '../db/tables.ts'
import { codeExpired, loginDenied, slowDown, tokenFetched, unknownDeviceCode } from '../http/catalogue.ts'
import { KEPT } from './approval.ts'

/** The device's side of a device login: asking, and fetching the one token. */

interface Login {
  status: DeviceStatus
  /** null: started by /api/device/start, which knows no clients */
  client_id: string | null
  scopes: Scope[]
  expired: boolean
  token_id: string | null
  /** What our pages call the person who approved, such as an e-mail address; only their sign-in tells us */
  name: string | null
  token_hash: string | null
  token_expires_at: Date | null
  /** Fetched so recently that the answer may have been lost */
  repeatable: boolean
  /** Seconds since the last poll; null before the first */
  polled_ago: number | null
  /** How many seconds to wait, where this poll was in time; null: it was not, or the login is not pending */
  noted: number | null
}

const PENDING = `status = 'pending' and expires_at > now()`
// A poll that is at most a second early counts as in time, because clocks and networks jitter.
const IN_TIME = `(last_polled_at is null or now() - last_polled_at >= make_interval(secs => "interval" - 1))`

// Reads logins as they were before this poll, and notes the poll of those that are pending and polled in time.
const pollLogin = gatherRows<Login>(
  'poll_device_logins',
  'text',
  (is) => `with noted as (
    update device_codes set last_polled_at = now()
    where device_code_hash ${is} and ${PENDING} and ${IN_TIME} returning device_code_hash, "interval"
  )
  select d.device_code_hash as key, d.status, d.client_id, d.scopes, d.expires_at <= now() as expired, d.token_id, t.token_hash,
    t.expires_at as token_expires_at,
    coalesce(d.delivered_at > now() - interval '1 minute' and t.revoked_at is null, false) as repeatable,
    extract(epoch from now() - d.last_polled_at)::float8 as polled_ago,
    case when d.status <> 'pending' then (select s.name from sessions s where s.account_id = d.account_id and s.name is not null
      order by s.created_at desc limit 1) end as name,
    (select noted."interval" from noted where noted.device_code_hash = d.device_code_hash) as noted
  from device_codes d left join tokens t on t.id = d.token_id
  where d.device_code_hash ${is} and d.${KEPT}`,
)

// The time of the last poll stays: if it moved, a device that polls slightly too fast would never be in time.
const pollTooSoon = statement<{ hash: string }, { interval: number }>(
  'poll_too_soon',
  `update device_codes set "interval" = least("interval" + 5, 30) where device_code_hash = $hash and ${PENDING}
    and not ${IN_TIME} returning "interval"`,
)

const deliver = statement<
  { hash: string; id: string; token_hash: string; last_four: string; ttl_days: number },
  { expires_at: Date }
>(
  'deliver_device_token',
  `with login as (
    update device_codes set status = 'delivered', token_id = $id::uuid, delivered_at = now()
    where device_code_hash = $hash and status = 'approved' and expires_at > now()
    returning account_id, scopes, client_name
  )
  insert into tokens (id, token_hash, account_id, name, last_four, scopes, expires_at)
  select $id::uuid, $token_hash, account_id, coalesce(client_name, 'Unnamed device'), $last_four, scopes,
    now() + make_interval(days => $ttl_days::int)
  from login
  returning expires_at`,
)

export type Polled = { interval: number } | { token: string; expires_at: Date; name: string | null; scopes: Scope[] }

/**
 * A device asks whether somebody has decided: how many seconds to wait, or its token. The first poll after the approval
 * mints it, and a minute long it is answered again, because the first answer may have been lost.
 * @param client_id the OAuth client that polls: another one's code is unknown to it
 * @throws {ApiError} 404 unknown_device_code, 410 access_denied, expired_token or already_used, 429 slow_down
 * @throws {Error} when the token was minted with another TOKEN_SECRET than `secret`
 */
export async function pollDevice(
  db: Db,
  deviceCode: string,
  { secret, ttlDays }: { secret: string; ttlDays: number },
  client_id?: string,
): Promise<Polled> {
  const hash = hashOf(deviceCode)
  // Again where somebody decided, or another poll was faster, between two statements. A login has three states at most.
  for (let round = 1; round <= 4; round++) {
    const login = await pollLogin(db, hash)
    if (!login || (client_id !== undefined && (login.client_id ?? client_id) !== client_id)) throw unknownDeviceCode()
    const { status, expired } = login
    if (status === 'denied') throw loginDenied()
    if (status === 'delivered') return repeat(login)
    if (expired) throw codeExpired()
    const polled = status === 'approved' ? await mint(login) : await wait(login)
    if (polled) return polled
  }
  throw new Error('a device login changed more often than it can')

  async function wait({ noted, polled_ago }: Login): Promise<Polled | undefined> {
    if (noted !== null) return { interval: noted }
    const [tooSoon] = await pollTooSoon(db, { hash })
    if (!tooSoon) return undefined
    const { interval } = tooSoon
    throw slowDown(interval, interval - (polled_ago ?? 0))
  }

  async function mint({ name, scopes }: Login): Promise<Polled | undefined> {
    const id = uuidv7()
    const token = derivePat(secret, id, deviceCode)
    const row = { hash, id, token_hash: hashOf(token), last_four: token.slice(-4), ttl_days: ttlDays }
    const [minted] = await deliver(db, row)
    return minted && { token, expires_at: minted.expires_at, name, scopes }
  }

  function repeat({ repeatable, token_id, token_hash, token_expires_at, name, scopes }: Login): Polled {
    if (!repeatable || !token_id || !token_expires_at) {
      throw tokenFetched()
    }
    const token = derivePat(secret, token_id, deviceCode)
    if (hashOf(token) !== token_hash) {
      throw new Error(`token ${token_id} was minted with another TOKEN_SECRET; all replicas need the same one`)
    }
    return { token, expires_at: token_expires_at, name, scopes }
  }
}
