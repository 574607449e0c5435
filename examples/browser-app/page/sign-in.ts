import { createFocus, type Focus, type FocusOptions } from '@thefocus/client'
import * as oauth from 'openid-client'

/** How people sign in to the app and out again. */
interface SignIn {
  credentials: Pick<FocusOptions, 'credentials' | 'getToken'>
  begin(): Promise<void>
  end(focus: Focus): Promise<unknown>
}

/** On the same site as the service: its cookie is sent with each request. The app needs no tokens. */
export function byCookie(url: string): SignIn {
  const signInPage = createFocus({ url }).openSignInPage({ redirect_to: location.href, token_in: 'none' })
  return {
    credentials: { credentials: 'include' },
    begin: async () => location.assign(signInPage),
    end: (focus) => focus.deleteSession(),
  }
}

/** On another site: OAuth, an authorization code with PKCE. The tokens belong to this tab, and are renewed when they expire. */
export async function byOAuth(url: string, client: string): Promise<SignIn> {
  const redirect_uri = `${location.origin}/`
  const options: oauth.DiscoveryRequestOptions = { algorithm: 'oauth2' }
  // Only for trying it out on this machine. Use https everywhere else.
  if (url.startsWith('http://localhost:')) options.execute = [oauth.allowInsecureRequests]
  const config = await oauth.discovery(new URL(url), client, undefined, oauth.None(), options)

  type Tokens = { access_token: string; refresh_token: string | undefined; expires_at: string }
  let tokens: Tokens | undefined = JSON.parse(sessionStorage.getItem('tokens') ?? 'null') ?? undefined
  const keep = ({ access_token, refresh_token, expires_in = 0 }: oauth.TokenEndpointResponse) => {
    tokens = { access_token, refresh_token, expires_at: new Date(Date.now() + expires_in * 1000).toISOString() }
    sessionStorage.setItem('tokens', JSON.stringify(tokens))
  }
  const forget = () => {
    tokens = undefined
    sessionStorage.clear()
  }
  /** Forgets the tokens if the service refused them: the person revoked the app, or was away for a month. Keeps them without an answer. */
  const forgetRefused = (error: unknown) => {
    if (!(error instanceof oauth.ResponseBodyError)) throw error
    forget()
  }

  // Back from the consent page.
  const begun = sessionStorage.getItem('begun')
  if (begun && new URLSearchParams(location.search).has('state')) {
    sessionStorage.removeItem('begun')
    await oauth.authorizationCodeGrant(config, new URL(location.href), JSON.parse(begun)).then(keep, console.error)
    history.replaceState(null, '', '/')
  }

  return {
    credentials: {
      // The library calls this before the token expires, and with `fresh` after it was refused.
      async getToken({ fresh }) {
        const old = tokens && (fresh || Date.parse(tokens.expires_at) - Date.now() < 30_000)
        if (old) await oauth.refreshTokenGrant(config, tokens?.refresh_token ?? '').then(keep, forgetRefused)
        return tokens && { token: tokens.access_token, expires_at: tokens.expires_at }
      },
    },
    async begin() {
      const checks = { pkceCodeVerifier: oauth.randomPKCECodeVerifier(), expectedState: oauth.randomState() }
      sessionStorage.setItem('begun', JSON.stringify(checks))
      const address = oauth.buildAuthorizationUrl(config, {
        redirect_uri,
        scope: 'account',
        state: checks.expectedState,
        code_challenge: await oauth.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
        code_challenge_method: 'S256',
      })
      location.assign(address)
    },
    end: () => oauth.tokenRevocation(config, tokens?.refresh_token ?? '').finally(forget),
  }
}
