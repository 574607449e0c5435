import { randomBytes, randomInt } from 'node:crypto'
import { roomForToken } from '../access/made-tokens.ts'
import { hashOf } from '../access/tokens.ts'
import { openAccount } from '../accounts/open.ts'
import { addressOwner } from '../addresses.ts'
import type { Config } from '../config.ts'
import { statement } from '../db/statement.ts'
import type { Db, DeviceStatus, Scope } from '../db/tables.ts'
import { codeExpired, codeUsed, invalidCode } from '../http/catalogue.ts'
import { attempt, tooManyAttempts } from './attempts.ts'

/**
 * Device login (RFC 8628): a device asks, a person decides, the device fetches one token (client.ts). Every step is one statement
 * guarded by the status it starts from, and all times are the database's.
 */

export const DEVICE_SECONDS = 900
const INTERVAL_SECONDS = 5
/** No vowels, so that no code is a word. */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ'

export interface StartedLogin {
  device_code: string
  user_code: string
}

const insertLogin = statement<
  {
    device_code_hash: string
    user_code: string
    scopes: Scope[]
    client_name: string | null
    requested_from: string
    client_id: string | null
    owner: string
  },
  { user_code: string }
>(
  'start_device_login',
  `with allowed as (${attempt('device_start', '$owner')})
  insert into device_codes (device_code_hash, user_code, scopes, client_name, requested_from, client_id, "interval", expires_at)
  select $device_code_hash, $user_code, $scopes::text[], $client_name, $requested_from, $client_id, ${INTERVAL_SECONDS},
    now() + interval '${DEVICE_SECONDS} seconds'
  from allowed
  returning user_code`,
)

/**
 * A device asks to be logged in.
 * @param asked `requested_from` is the address it asks from
 * @throws {ApiError} 429 too_many_attempts after 10 a minute from one address
 */
export async function startDevice(
  db: Db,
  asked: { scopes: Scope[]; client_name: string | null; requested_from: string; client_id?: string },
): Promise<StartedLogin & { interval: number; expires_in: number }> {
  const owner = addressOwner(asked.requested_from)
  const device_code = randomBytes(32).toString('base64url')
  for (let tries = 1; ; tries++) {
    try {
      const user_code = newUserCode()
      const [row] = await insertLogin(db, {
        client_id: null,
        ...asked,
        owner,
        user_code,
        device_code_hash: hashOf(device_code),
      })
      if (!row) throw await tooManyAttempts(db, 'device_start', owner)
      return { device_code, user_code, interval: INTERVAL_SECONDS, expires_in: DEVICE_SECONDS }
    } catch (error) {
      // One of 1.6 billion codes was taken already; the attempt was rolled back with it.
      if (tries === 5 || (error as { code?: string }).code !== UNIQUE_VIOLATION) throw error
    }
  }
}

/** Where the person approves a login that was started. */
export function verificationUris({ publicUrl }: Pick<Config, 'publicUrl'>, { user_code }: StartedLogin) {
  const verification_uri = `${publicUrl}/device`
  return { verification_uri, verification_uri_complete: `${verification_uri}?user_code=${user_code}` }
}

/** Removes invisible characters: the name is shown to the person who approves, and must not reorder the text around it. */
export const cleanName = (name = ''): string | null => name.replace(/[\p{C}\p{Z}\s]+/gu, ' ').trim() || null

const newUserCode = (): string =>
  `${Array.from({ length: 4 }, () => LETTERS[randomInt(LETTERS.length)]).join('')}-${String(randomInt(10_000)).padStart(4, '0')}`

/**
 * The code that somebody means by what they typed. Case, full-width forms, and everything that is neither a letter nor a digit
 * (dashes, dots, spaces, zero-width characters) do not matter; digits that were read as letters are digits.
 * @returns undefined where no code looks like that
 */
export function readUserCode(typed: string): string | undefined {
  const bare = typed
    .normalize('NFKC')
    .toUpperCase()
    .replace(/[^\p{L}\p{N}]/gu, '')
  const letters = bare.slice(0, 4)
  const digits = bare.slice(4).replaceAll('O', '0').replace(/[IL]/g, '1')
  return new RegExp(`^[${LETTERS}]{4}$`).test(letters) && /^[0-9]{4}$/.test(digits) ? `${letters}-${digits}` : undefined
}

/** What a person is asked to decide about. */
export interface DeviceRequest {
  user_code: string
  status: DeviceStatus
  /** Its time is over; `delivered` and `denied` stay what they are */
  expired: boolean
  /** Who decided; null while it is pending */
  account_id: string | null
  /** Whatever the device calls itself */
  client_name: string | null
  scopes: Scope[]
  requested_from: string | null
  created_at: Date
  expires_at: Date
}

const REQUEST = `user_code, status, expires_at <= now() as expired, account_id, client_name, scopes, requested_from,
  created_at, expires_at`
/** For a day after it expires, a code is answered with what became of it. */
export const KEPT = `expires_at > now() - interval '1 day'`

// One statement looks up and counts, so that many guesses at once cannot pass the budget.
// A right code needs room in both budgets and uses up neither.
const findCounted = (by: 'code' | 'link') =>
  statement<
    { user_code: string; account_id: string; owner: string },
    { account_allowed: boolean; address_allowed: boolean } & { [K in keyof DeviceRequest]: DeviceRequest[K] | null }
  >(
    `find_device_request_by_${by}`,
    `with found as (select ${REQUEST} from device_codes where user_code = $user_code and ${KEPT}),
    by_account as (${attempt(`${by}_by_account`, '$account_id::text', { counts: 'not exists (select from found)' })}),
    by_address as (${attempt(`${by}_by_address`, '$owner::text', { counts: 'not exists (select from found)', from: 'from by_account' })})
    select exists (select from by_account) as account_allowed, exists (select from by_address) as address_allowed, found.*
    from (values (1)) as one left join found on true`,
  )
const find = { code: findCounted('code'), link: findCounted('link') }

/** Who types a code: the account, and the address of the request. */
export interface Guesser {
  account_id: string
  address: string
}

/**
 * The request behind a code that somebody typed, or that came in a link. A wrong code counts: 10 per account and 30 per address
 * in 15 minutes, and then right ones are refused as well. What cannot be a code does not count.
 * @throws {ApiError} 400 invalid_code, 429 too_many_attempts
 */
export async function findDeviceRequest(
  db: Db,
  who: Guesser,
  given: string,
  by: 'code' | 'link' = 'code',
): Promise<DeviceRequest> {
  const owner = addressOwner(who.address)
  const user_code = readUserCode(given)
  if (!user_code) throw invalidCode()
  const [row] = await find[by](db, { user_code, account_id: who.account_id, owner })
  if (!row) throw new Error('the look-up of a code always gives a row')
  const { account_allowed, address_allowed, ...request } = row
  if (!account_allowed) throw await tooManyAttempts(db, `${by}_by_account`, who.account_id)
  if (!address_allowed) throw await tooManyAttempts(db, `${by}_by_address`, owner)
  if (!request.user_code) throw invalidCode()
  return request as DeviceRequest
}

export type Decision = 'approve' | 'deny'

// An approval in the last seconds leaves the device a minute to notice it.
const decide = statement<
  { user_code: string; account_id: string; status: DeviceStatus; grace_seconds: number },
  { user_code: string }
>(
  'decide_device_request',
  `update device_codes set status = $status::text, account_id = $account_id::uuid,
    expires_at = greatest(expires_at, now() + make_interval(secs => $grace_seconds::int))
  where user_code = $user_code and status = 'pending' and expires_at > now()
  returning user_code`,
)

/** Approves a login within the bound on tokens. @throws {ApiError} 409 too_many_tokens */
function approve(db: Db, decided: Parameters<typeof decide>[1]) {
  return db.transaction().execute(async (trx) => {
    await roomForToken(trx, decided.account_id, 'approve again')
    return decide(trx, decided)
  })
}

const readRequest = statement<{ user_code: string }, DeviceRequest>(
  'read_device_request',
  `select ${REQUEST} from device_codes where user_code = $user_code`,
)

/**
 * A person approves or denies a device; the same again is no fault.
 * @param typed the code as typed
 * @throws {ApiError} 400 invalid_code, 409 too_many_tokens, 410 expired_token or already_used, 429 too_many_attempts
 */
export async function completeDevice(
  db: Db,
  who: Guesser & { clerk_id: string },
  typed: string,
  decision: Decision,
): Promise<void> {
  let request: DeviceRequest | undefined = await findDeviceRequest(db, who, typed)
  if (request.status === 'pending' && !request.expired) {
    const { account_id, clerk_id } = who
    const { user_code } = request
    // A token belongs to an account that exists.
    if (decision === 'approve') await openAccount(db, account_id, clerk_id)
    const [decided] =
      decision === 'approve'
        ? await approve(db, { user_code, account_id, status: 'approved', grace_seconds: 60 })
        : await decide(db, { user_code, account_id, status: 'denied', grace_seconds: 0 })
    if (decided) return
    ;[request] = await readRequest(db, { user_code })
  }
  const { status, expired, account_id } = request ?? { expired: true }
  if (expired && (!status || status === 'pending' || status === 'approved')) throw codeExpired()
  const decided: Decision = status === 'denied' ? 'deny' : 'approve'
  if (account_id === who.account_id && decided === decision) return
  throw codeUsed()
}

const UNIQUE_VIOLATION = '23505'
