import { createServer, type RequestListener } from 'node:http'
import { toNodeHandler } from '@modelcontextprotocol/node'
import {
  createMcpHandler,
  getOAuthProtectedResourceMetadataUrl,
  hostHeaderValidationResponse,
  McpServer,
  OAuthError,
  OAuthErrorCode,
  oauthMetadataResponse,
  requireBearerAuth,
} from '@modelcontextprotocol/server'
import { createFocus, FocusError } from '@thefocus/client'
import * as z from 'zod'

interface Settings {
  focusUrl: string
  /** The slug of the app, and its settle key (a secret) */
  app: string
  appKey: string
  /** The server's own URL, which must be one of the app's `resources` */
  mcpUrl: string
}

/** An MCP server with a tool that costs credits. */
export async function serve({ focusUrl, app, appKey, mcpUrl }: Settings) {
  const resource = new URL(mcpUrl)
  const focus = createFocus({ url: focusUrl, appKey })

  // The service tells whose token it is. Nothing is cached, so a revoked token is refused immediately.
  async function verifyAccessToken(token: string) {
    const { active, aud, client_id, exp, scope = '', sub, grant_id } = await focus.introspectToken({ token })
    if (!active || !aud || !client_id || !exp)
      throw new OAuthError(OAuthErrorCode.InvalidToken, 'The token has ended, or is not for this server')
    return {
      token,
      clientId: client_id,
      expiresAt: exp,
      scopes: scope.split(' '),
      resource: new URL(aud),
      extra: { accountId: sub, grantId: grant_id },
    }
  }
  const authenticate = requireBearerAuth({
    verifier: { verifyAccessToken },
    requiredScopes: ['spend'],
    // Refuses tokens for other servers.
    expectedResource: resource,
    resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resource),
  })

  // The tool: reserve, work, settle.
  const mcp = createMcpHandler(() => {
    const server = new McpServer({ name: 'haiku', version: '1.0.0' })
    const description = 'Writes a haiku. Costs 3 credits.'
    const inputSchema = z.object({ about: z.string().max(100) })
    server.registerTool('haiku', { description, inputSchema }, async ({ about }, { http }) => {
      const { accountId, grantId } = (http?.authInfo?.extra ?? {}) as { accountId: string; grantId: string }
      const metadata = { description: `Haiku: ${about}` }
      try {
        const hold = { app, action: 'haiku', estimate: 3, accountId, grantId, metadata }
        return say(await focus.withHold(hold, () => write(about)))
      } catch (error) {
        if (!(error instanceof FocusError)) throw error
        // The person reads this message, and can act at the address in it.
        const { buy_url, change_url, grant_url } = error.details
        return { ...say(`${error.message} ${change_url ?? buy_url ?? grant_url ?? ''}`), isError: true }
      }
    })
    return server
  })

  // The documents by which clients find the authorization server, and the MCP server itself.
  const oauthMetadata = await focus.getAuthorizationServerMetadata()
  const documents = { oauthMetadata, resourceServerUrl: resource, scopesSupported: ['spend'], resourceName: 'Haiku' }
  async function answer(request: Request): Promise<Response> {
    const other =
      hostHeaderValidationResponse(request, [resource.hostname]) ?? oauthMetadataResponse(request, documents)
    if (other) return other
    if (new URL(request.url).pathname !== resource.pathname) return new Response('Not found', { status: 404 })
    const authInfo = await authenticate(request)
    return authInfo instanceof Response ? authInfo : mcp.fetch(request, { authInfo })
  }
  const handler = toNodeHandler({ fetch: answer }) as RequestListener
  return createServer(handler).listen(Number(resource.port), '127.0.0.1')
}

const say = (text: string) => ({ content: [{ type: 'text' as const, text }] })

const write = (about: string) => `Nothing but ${about}:\nthree credits are gone, and still\nthe old pond is still.`
