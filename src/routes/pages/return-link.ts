import type { FastifyRequest } from 'fastify'
import { isOwnPage, safeRedirect } from '../../access/redirects.ts'
import { isLoopback } from '../../addresses.ts'

/** The app that a person came to our pages from. */
export interface ReturnLink {
  href: string
  /** The app's name, or its host where no registered app has this origin */
  name: string
  /** Carries the link on to the next of our pages: `redirect_to=…` */
  query: string
}

/**
 * The way back to an app: `redirect_to` in the query, else the Referer, where a sign-in could return there.
 * @returns undefined for our own pages and for addresses that are not allowed
 */
export function returnLink(request: FastifyRequest): ReturnLink | undefined {
  const { redirect_to } = request.query as { redirect_to?: unknown }
  const { origins } = request.server
  const url = allowedUrl(request, redirect_to ?? request.headers.referer)
  if (!url || origins.isOurs(url.origin)) return undefined
  const { href } = url
  return { href, name: origins.appName(url.origin) ?? url.host, query: `${new URLSearchParams({ redirect_to: href })}` }
}

/** The address where a browser may be sent from here. */
export function allowedUrl({ server }: FastifyRequest, raw: unknown): URL | undefined {
  const { isAllowed, isOurs } = server.origins
  return safeRedirect(raw, { isAllowed, isOurs, loopbackHttp: allowsLoopback(server.config.publicUrl) })
}

/** Where a purchase may lead on to: an allowed origin, or a page of ours. */
export function purchaseReturn(request: FastifyRequest, raw: unknown): URL | undefined {
  const url = allowedUrl(request, raw)
  const { isOurs } = request.server.origins
  return url && isOurs(url.origin) && !isOwnPage(url, 'purchase') ? undefined : url
}

/** A service on this machine may send browsers to apps on this machine by plain http. */
export const allowsLoopback = (publicUrl: string): boolean => isLoopback(new URL(publicUrl).hostname)
