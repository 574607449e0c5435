import { getProxyForUrl } from 'proxy-from-env'
import { usage } from './failure.ts'
import { isLoopback } from './server.ts'

/** HTTPS_PROXY, HTTP_PROXY and NO_PROXY, which fetch ignores in Node 20 and 22. */

/** The proxy for an address; undefined: none. Loopback addresses never use a proxy. */
export function proxyOf(url: string): string | undefined {
  if (isLoopback(new URL(url).hostname)) return undefined
  return getProxyForUrl(url) || undefined
}

/** `fetch` through the proxy that the environment names, if it names one. */
export async function fetchByProxy(
  request: Request,
  init: { redirect: 'manual'; signal: AbortSignal },
): Promise<Response> {
  const proxy = proxyOf(request.url)
  if (proxy === undefined) return fetch(request, init)
  // Node's own fetch does not accept a dispatcher from another version of undici.
  const undici = await import('undici')
  const { method } = request
  const body = request.body ? await request.text() : undefined
  const answer = await undici.fetch(request.url, {
    ...{ ...init, method, headers: [...request.headers], dispatcher: agentOf(proxy, undici.ProxyAgent) },
    ...(body !== undefined && { body }),
  })
  return answer as unknown as Response
}

function agentOf<Agent>(proxy: string, ProxyAgent: new (address: string) => Agent): Agent {
  try {
    return new ProxyAgent(proxy)
  } catch {
    throw usage('HTTPS_PROXY or HTTP_PROXY is not an address such as http://proxy.example.com:3128')
  }
}
