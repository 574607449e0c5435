import { createHash, createPrivateKey, createPublicKey, randomUUID } from 'node:crypto'
import { errors, exportPKCS8, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { base62 } from '../base62.ts'
import type { Config } from '../config.ts'
import { storedSetting } from '../db/settings.ts'
import type { Db } from '../db/tables.ts'
import { invalidToken, templateNotFound, tokenExpired, tokenNotActiveYet } from '../http/catalogue.ts'
import type { Claims, Identity, OauthConnection, OauthToken, SessionOwner } from './types.ts'

/** Lifetime of a session JWT in seconds, the same as Clerk's. */
const TOKEN_SECONDS = 60
const KEY = 'local_signing_key'

/** Who is an administrator without being configured. */
export const LOCAL_ADMINISTRATOR = 'admin@example.com'

/** The local identity provider, for evaluation and development: session JWTs like Clerk's, signed with a key stored in the database. */
export async function localIdentity(config: Config, db: Db): Promise<Omit<Identity, 'known' | 'plausible'>> {
  const privateKey = createPrivateKey(await signingKey(db))
  const publicKey = createPublicKey(privateKey)
  const issuer = config.publicUrl
  await registerExampleApp(db)

  async function verify(token: string): Promise<Claims> {
    try {
      const { payload } = await jwtVerify(token, publicKey, { issuer, algorithms: ['RS256'], clockTolerance: 5 })
      if (typeof payload.sub !== 'string' || !payload.sub || typeof payload.exp !== 'number') throw invalidToken()
      return payload as unknown as Claims
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw tokenExpired()
      if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'nbf') throw tokenNotActiveYet()
      throw invalidToken()
    }
  }

  async function mint(
    { sid, clerkId }: SessionOwner,
    { template, party }: { template?: string | undefined; party?: string | undefined } = {},
  ): Promise<string | undefined> {
    if (template) throw templateNotFound()
    const live = await db
      .selectFrom('sessions')
      .select('clerk_sid')
      .where('clerk_sid', '=', sid)
      .where('expires_at', '>', new Date())
      .executeTakeFirst()
    if (!live) return undefined
    return new SignJWT({ sid, ...(party !== undefined && party !== config.publicUrl && { azp: party }), sts: 'active' })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
      .setSubject(clerkId)
      .setIssuer(issuer)
      .setIssuedAt()
      .setNotBefore('0s')
      .setExpirationTime(`${TOKEN_SECONDS}s`)
      .setJti(randomUUID())
      .sign(privateKey)
  }

  /** LOCAL_OAUTH_TOKENS sets one token per provider, which every account gets. */
  async function oauthAccessTokens(_clerkId: string, provider: string): Promise<OauthToken[]> {
    const token = config.localOauthTokens.get(provider)
    return token ? [{ token, scopes: [], expires_at: null, external_account_id: 'local' }] : []
  }

  async function oauthConnections(): Promise<OauthConnection[]> {
    const providers = [...config.localOauthTokens.keys()]
    return providers.map((provider) => ({ provider, external_account_id: 'local', name: null, scopes: [] }))
  }

  const builtIn = config.localIdentity === 'expose' ? [] : [localClerkId(LOCAL_ADMINISTRATOR)]
  return {
    mode: 'local',
    issuer,
    cookies: [],
    administrators: new Set(builtIn),
    verify,
    mint,
    oauthAccessTokens,
    oauthConnections,
    peopleByEmail: async (email) => [localClerkId(email)],
    peopleLike: async () => [],
  }
}

/** The user id derived from an e-mail address: `user_` and 27 base62 characters, like Clerk's. */
export function localClerkId(email: string): string {
  const hash = createHash('sha256').update(email.trim().toLowerCase()).digest('hex')
  return `user_${base62(BigInt(`0x${hash}`), 27)}`
}

const SID = 'sess_local_'

/** A new session id of the local identity. */
export const newLocalSid = (): string => SID + randomUUID().replaceAll('-', '')

/** Whether a session was opened by the local identity, which checks no password. */
export const isLocalSid = (sid: string): boolean => sid.startsWith(SID)

/** The app of the README's first example. */
export const EXAMPLE_APP = { slug: 'video', name: 'Video (example)', starter_credits: 20 }

/** Registers the example app, unless it exists. */
async function registerExampleApp(db: Db): Promise<void> {
  await db
    .insertInto('apps')
    .values(EXAMPLE_APP)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** The signing key as PEM, generated once and shared by all replicas. */
const signingKey = (db: Db): Promise<string> =>
  storedSetting(db, KEY, async () => exportPKCS8((await generateKeyPair('RS256', { extractable: true })).privateKey))
