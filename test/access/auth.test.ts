import { createPrivateKey, createPublicKey, createSecretKey } from 'node:crypto'
import { mock } from 'node:test'
import { type CryptoKey, generateKeyPair, importPKCS8, UnsecuredJWT } from 'jose'
import t, { type Test } from 'tap'
import { type ClaimChanges, type SignOptions, sessionJwt, startClerk } from '../support/clerk-stand-in.ts'
import { type App, start, unique } from '../support/start.ts'
import { until } from '../support/until.ts'

const OURS = 'http://localhost:3000'
const APP = 'https://app.example.com'
const ALLOWED = { ALLOWED_ORIGINS: APP }
const foreignKey = (await generateKeyPair('RS256')).privateKey

interface Signer {
  app: App
  issuer: string
  /** PEM */
  publicKey: string
  token(changes?: ClaimChanges, options?: SignOptions): Promise<string>
}

/** The ways in which the service knows whom to believe. */
const identities: Record<string, (t: Test) => Promise<Signer>> = {
  'the local identity': async (t) => {
    const { app, db } = await start(t, ALLOWED)
    const { value } = await db
      .selectFrom('settings')
      .select('value')
      .where('name', '=', 'local_signing_key')
      .executeTakeFirstOrThrow()
    const own: CryptoKey = await importPKCS8(value, 'RS256')
    const publicKey = String(createPublicKey(createPrivateKey(value)).export({ type: 'spki', format: 'pem' }))
    const token: Signer['token'] = (changes = {}, { key = own, header = {} } = {}) =>
      sessionJwt(key, { iss: OURS, azp: OURS, ...changes }, header)
    return { app, issuer: OURS, publicKey, token }
  },
  'Clerk by CLERK_JWT_KEY': async (t) => {
    const { env, jwtKey, issuer, token } = await startClerk(t)
    const { app } = await start(t, { ...ALLOWED, ...env, CLERK_JWT_KEY: jwtKey })
    return { app, issuer, publicKey: jwtKey, token }
  },
  'Clerk by JWKS': async (t) => {
    const { env, jwtKey, issuer, token } = await startClerk(t)
    const { app } = await start(t, { ...ALLOWED, ...env })
    return { app, issuer, publicKey: jwtKey, token }
  },
}

const seconds = (fromNow: number) => Math.floor(Date.now() / 1000) + fromNow
const unsigned = (header: object, payload: object) =>
  `${[header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`
const wallet = (app: App, authorization: string, headers = {}) =>
  app.inject({ url: '/api/wallet', headers: { authorization, ...headers } })

for (const [name, setUp] of Object.entries(identities)) {
  t.test(`with ${name}, a token is taken only when everything about it is right`, async (t) => {
    const { app, token, issuer, publicKey } = await setUp(t)
    const sub = `user_${unique('').replaceAll('-', '')}`
    const claims = { sub, iss: issuer, iat: seconds(0), exp: seconds(60), azp: OURS }

    const taken: Record<string, string> = {
      // First, while it is within the skew.
      'one that expired within the clock skew': await token({ sub, exp: seconds(-2) }),
      'a fresh one': await token({ sub }),
      'one for an allowed origin': await token({ sub, azp: APP }),
      'one that a backend minted, without azp': await token({ sub, azp: undefined }),
      'one whose audience is ours': await token({ sub, aud: OURS }),
      'one with ours among its audiences': await token({ sub, aud: ['https://elsewhere.example', OURS] }),
      'one of a template, without sid and sts': await token({ sub, sid: undefined, sts: undefined, azp: undefined }),
      'one of a template, for an hour': await token({ sub, sid: undefined, iat: seconds(-5), exp: seconds(3_595) }),
      'one of a session, for a day': await token({ sub, iat: seconds(-5), exp: seconds(86_395) }),
      'one from a clock a little ahead': await token({ sub, nbf: seconds(3), iat: seconds(3) }),
    }
    for (const [what, jwt] of Object.entries(taken)) {
      const reply = await wallet(app, `Bearer ${jwt}`)
      t.equal(reply.statusCode, 200, `${what}: ${reply.body.slice(0, 200)}`)
      t.equal(reply.json().account.clerk_id, sub)
    }

    const refused: Record<string, [jwt: string, error: string]> = {
      expired: [await token({ sub, exp: seconds(-30) }), 'token_expired'],
      'not yet valid': [await token({ sub, nbf: seconds(30) }), 'token_not_active_yet'],
      'without an end': [await token({ sub, exp: undefined }), 'invalid_token'],
      'with an end that is no number': [await token({ sub, exp: '9999999999' }), 'invalid_token'],
      'signed by somebody else': [await token({ sub }, { key: foreignKey }), 'invalid_token'],
      'signed with the public key as an HS256 secret': [
        await token({ sub }, { key: createSecretKey(Buffer.from(publicKey)) as never, header: { alg: 'HS256' } }),
        'invalid_token',
      ],
      'alg none': [new UnsecuredJWT(claims).encode(), 'invalid_token'],
      'alg None': [unsigned({ alg: 'None', typ: 'JWT' }, claims), 'invalid_token'],
      'with its own key in the header': [
        await token({ sub }, { key: foreignKey, header: { jwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB' } } }),
        'invalid_token',
      ],
      'with a key id that every object has': [
        await token({ sub }, { key: foreignKey, header: { kid: 'constructor' } }),
        'invalid_token',
      ],
      'without a beginning': [await token({ sub, iat: undefined }), 'invalid_token'],
      'of a session, for more than a day': [
        await token({ sub, iat: seconds(-80_000), exp: seconds(7_000) }),
        'invalid_token',
      ],
      'of ten years, 200 days old': [
        await token({ sub, sid: undefined, iat: seconds(-200 * 86_400), exp: seconds(3_450 * 86_400) }),
        'invalid_token',
      ],
      'of a template, for more than an hour': [
        await token({ sub, sid: undefined, azp: undefined, iat: seconds(-10), exp: seconds(3_600) }),
        'invalid_token',
      ],
      'for a foreign party': [await token({ sub, azp: 'https://elsewhere.example' }), 'invalid_token'],
      'for a party that looks like ours': [await token({ sub, azp: `${OURS}.elsewhere.example` }), 'invalid_token'],
      'for no party by name': [await token({ sub, azp: '' }), 'invalid_token'],
      'for a foreign audience': [await token({ sub, aud: 'https://elsewhere.example' }), 'invalid_token'],
      'for foreign audiences': [await token({ sub, aud: ['a', 'b'] }), 'invalid_token'],
      'for no audience at all': [await token({ sub, aud: [] }), 'invalid_token'],
      'of another issuer': [await token({ sub, iss: 'https://clerk.elsewhere.example' }), 'invalid_token'],
      'without an issuer': [await token({ sub, iss: undefined }), 'invalid_token'],
      pending: [await token({ sub, sts: 'pending' }), 'session_pending'],
      'without a subject': [await token({ sub: undefined }), 'invalid_token'],
      'with a subject that is no text': [await token({ sub: 7 }), 'invalid_token'],
      'with an empty subject': [await token({ sub: '' }), 'invalid_token'],
      garbage: ['garbage', 'invalid_token'],
      'three parts of garbage': ['a.b.c', 'invalid_token'],
      'a header that is null': [`${Buffer.from('null').toString('base64url')}.e30.e30`, 'invalid_token'],
      'only dots': ['..', 'invalid_token'],
      'a signature cut off': [(await token({ sub })).replace(/[^.]+$/, ''), 'invalid_token'],
      'one letter changed': [
        (await token({ sub })).replace(/\.(.)/, (_, c) => `.${c === 'e' ? 'f' : 'e'}`),
        'invalid_token',
      ],
      'a personal access token of nobody': [`focus_pat_${'0'.repeat(36)}`, 'invalid_token'],
      'something huge': ['x'.repeat(12_000), 'invalid_token'],
    }
    for (const [what, [jwt, error]] of Object.entries(refused)) {
      const reply = await wallet(app, `Bearer ${jwt}`)
      t.match(
        [reply.statusCode, reply.json()],
        [401, { error, message: /^[A-Z].*\.$/, signin_url: `${OURS}/signin`, request_id: String }],
        what,
      )
      t.notMatch(reply.body, jwt.slice(0, 200), 'the token is not repeated')
    }
  })

  t.test(`with ${name}, the scheme is read without case and nothing else is guessed`, async (t) => {
    const { app, token } = await setUp(t)
    const jwt = await token()
    for (const authorization of [`Bearer ${jwt}`, `bearer ${jwt}`, `BEARER ${jwt}`, `bEaReR   ${jwt} `]) {
      t.equal((await wallet(app, authorization)).statusCode, 200, authorization.slice(0, 10))
    }
    for (const authorization of [
      '',
      'Bearer',
      'Bearer ',
      jwt,
      `Basic ${Buffer.from(`token:${jwt}`).toString('base64')}`,
      `Token ${jwt}`,
      `Bearer ${jwt} ${jwt}`,
      `Bearer ${jwt}, Bearer ${jwt}`,
      `Bearer: ${jwt}`,
      `Bearer=${jwt}`,
      `Bearer "${jwt}"`,
    ]) {
      const reply = await wallet(app, authorization)
      t.match([reply.statusCode, reply.json().error], [401, 'invalid_token'], authorization.slice(0, 20))
    }
  })
}

t.test('stale keys are read again, and stay valid while Clerk is down', async (t) => {
  const clerk = await startClerk(t)
  const { app } = await start(t, clerk.env)
  const [known, unknown] = [await clerk.token({ exp: seconds(3600) }), await clerk.token({ exp: seconds(3600) })]
  const asked = () => clerk.count(/jwks/)

  t.equal((await wallet(app, `Bearer ${known}`)).statusCode, 200)
  t.equal(asked(), 1)
  clerk.fail(/jwks/, { instead: 'cut' })
  mock.timers.enable({ apis: ['Date'], now: Date.now() + 6 * 60_000 })
  t.teardown(() => mock.timers.reset())
  t.equal((await wallet(app, `Bearer ${known}`)).statusCode, 200)
  t.equal(asked(), 1, 'a token that is known needs no key')
  t.equal((await wallet(app, `Bearer ${unknown}`)).statusCode, 200)
  await until(() => asked() >= 3)
  t.equal((await wallet(app, `Bearer ${await clerk.token({ exp: seconds(3600) })}`)).statusCode, 200)
})

for (const [name, setUp] of Object.entries(identities)) {
  t.test(`with ${name}, remembered claims are of no use after their token has expired`, async (t) => {
    const { app, token } = await setUp(t)
    const jwt = await token()
    t.equal((await wallet(app, `Bearer ${jwt}`)).statusCode, 200)
    mock.timers.enable({ apis: ['Date'], now: Date.now() + 66_000 })
    t.teardown(() => mock.timers.reset())
    const reply = await wallet(app, `Bearer ${jwt}`)
    t.match([reply.statusCode, reply.json().error], [401, 'token_expired'])
  })
}

t.test('refusals are not remembered: a token that becomes valid is taken', async (t) => {
  const clerk = await startClerk(t)
  const { app } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey })
  const jwt = await clerk.token({ nbf: seconds(30), exp: seconds(90) })
  t.equal((await wallet(app, `Bearer ${jwt}`)).statusCode, 401)
  mock.timers.enable({ apis: ['Date'], now: Date.now() + 31_000 })
  t.teardown(() => mock.timers.reset())
  t.equal((await wallet(app, `Bearer ${jwt}`)).statusCode, 200)
})

t.test('with CLERK_JWT_KEY no token costs a call to Clerk', async (t) => {
  const clerk = await startClerk(t)
  const { app } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey })
  for (const jwt of [await clerk.token(), await clerk.token({}, { key: foreignKey }), 'garbage']) {
    await wallet(app, `Bearer ${jwt}`)
  }
  t.strictSame(clerk.calls, [])
})

t.test("Clerk's __session cookie needs a party, which a header does not", async (t) => {
  const clerk = await startClerk(t)
  const { app } = await start(t, { ...ALLOWED, ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey })
  const status = async (changes: ClaimChanges) =>
    (await app.inject({ url: '/api/wallet', headers: { cookie: `__session=${await clerk.token(changes)}` } }))
      .statusCode
  t.equal(await status({}), 200, 'ours')
  t.equal(await status({ azp: APP }), 200, 'allowed')
  t.equal(await status({ azp: undefined }), 401, 'none')
  t.equal(await status({ azp: 'https://elsewhere.example' }), 401, 'foreign')
  t.equal(await status({ exp: seconds(-30) }), 401, 'expired')
  t.equal(await status({ sts: 'pending' }), 401, 'pending')
})

t.test('the local identity does not read __session', async (t) => {
  const { app, person } = await start(t)
  const { token } = await person()
  t.equal((await app.inject({ url: '/api/wallet', headers: { cookie: `__session=${token}` } })).statusCode, 401)
})

t.test('a bad Authorization header is not replaced by a good cookie', async (t) => {
  const { app, person } = await start(t)
  const { cookie } = await person()
  for (const authorization of ['Bearer garbage', 'Basic eDp5', '']) {
    t.equal((await wallet(app, authorization, { cookie })).statusCode, 401, authorization)
  }
})

t.test('every protected operation answers 401 with a way to sign in', async (t) => {
  const { app } = await start(t)
  const { paths } = (await app.inject('/api/openapi.json')).json()
  for (const [path, methods] of Object.entries<Record<string, { security?: object[] }>>(paths)) {
    for (const [method, { security }] of Object.entries(methods)) {
      if (security && !security.some((way) => 'bearerAuth' in way)) continue
      const reply = await app.inject({ method: method as 'get', url: path.replace(/\{\w+\}/g, 'x') })
      t.match(
        [reply.statusCode, reply.json()],
        [401, { error: 'not_signed_in', message: String, signin_url: `${OURS}/signin` }],
        `${method} ${path}`,
      )
    }
  }
})

t.test('signin_url leads back to where the caller was, if people may be sent there', async (t) => {
  const { app } = await start(t, ALLOWED)
  const redirectOf = async (headers: Record<string, string>) => {
    const url = new URL((await app.inject({ url: '/api/wallet', headers })).json().signin_url)
    t.equal(url.origin + url.pathname, `${OURS}/signin`)
    return url.searchParams.get('redirect_to')
  }
  const page = `${APP}/page?a=1&b=2`
  t.equal(await redirectOf({}), null)
  t.equal(await redirectOf({ referer: page }), page)
  t.equal(await redirectOf({ origin: APP }), APP)
  t.equal(await redirectOf({ referer: page, origin: APP }), page, 'the page rather than its origin')
  t.equal(await redirectOf({ referer: 'https://elsewhere.example/x', origin: APP }), APP)
  t.equal(await redirectOf({ referer: 'https://elsewhere.example/x' }), null)
  t.equal(await redirectOf({ origin: 'null' }), null)
  t.equal(await redirectOf({ referer: 'javascript:alert(1)' }), null)
  t.equal(await redirectOf({ referer: `https://user:password@app.example.com/` }), null, 'what /signin would refuse')
  t.equal(await redirectOf({ referer: `${APP}/${'x'.repeat(2048)}`, origin: APP }), APP, 'too long')
})

t.test('only administrators administer', async (t) => {
  const clerk = await startClerk(t)
  const { sub } = clerk.signIn()
  const { app } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, ADMIN_CLERK_IDS: `user_other,${sub}` })
  const list = async (who: string) =>
    app.inject({ url: '/api/admin/apps', headers: { authorization: `Bearer ${await clerk.token({ sub: who })}` } })
  t.equal((await list(sub)).statusCode, 200)
  const refused = await list(clerk.signIn().sub)
  t.match([refused.statusCode, refused.json().error], [403, 'not_an_administrator'])
})

t.test('with CLERK_AUDIENCE, a token without a session has to be for it', async (t) => {
  const clerk = await startClerk(t)
  const { app } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, CLERK_AUDIENCE: 'focus' })
  const ada = clerk.signIn()
  for (const [status, claims] of [
    [200, { ...ada }],
    [200, { ...ada, aud: 'focus' }],
    [200, { ...ada, aud: OURS }],
    [200, { sub: ada.sub, sid: undefined, aud: ['somewhere', 'focus'] }],
    [401, { sub: ada.sub, sid: undefined }],
    [401, { sub: ada.sub, sid: undefined, aud: OURS }],
    [401, { ...ada, aud: 'somewhere' }],
  ] as const) {
    const reply = await wallet(app, `Bearer ${await clerk.token(claims)}`)
    t.equal(reply.statusCode, status, JSON.stringify(claims))
  }
})
