import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf } from '../../../access/caller.ts'
import { page } from '../page.ts'
import { takeNotice } from './notice.ts'

/** What every page of the console has: the navigation, the search, what the last change did, and where the docs explain it. */

const SECTIONS = {
  overview: ['/console', 'Overview'],
  accounts: ['/console/accounts', 'Accounts'],
  jobs: ['/console/jobs', 'Jobs'],
  apps: ['/console/apps', 'Apps'],
  webhooks: ['/console/webhooks', 'Webhooks'],
  packs: ['/console/packs', 'Packs'],
  purchases: ['/console/purchases', 'Purchases'],
  keys: ['/console/keys', 'Service keys'],
  verify: ['/console/verify', 'Verify'],
  audit: ['/console/audit', 'Audit log'],
} as const

export type Section = keyof typeof SECTIONS

/** A page of /docs and what it explains. */
export interface Help {
  href: string
  text: string
}

export interface Frame {
  title: string
  section?: Section
  help?: Help
  /** Where the page hangs: the list that it is part of */
  up?: { href: string; text: string }
}

/** Sends a page of the console. @param template in views/console */
export function consolePage(
  request: FastifyRequest,
  reply: FastifyReply,
  template: string,
  values: Frame & Record<string, unknown>,
) {
  const person = callerOf(request)
  return page(reply, `console/${template}`, {
    ...values,
    nav: Object.entries(SECTIONS).map(([key, [href, text]]) => ({ href, text, here: key === values.section })),
    shown_as: person.name ?? person.clerk_id,
    notice: takeNotice(request, reply),
    local: request.server.identity.mode === 'local',
  })
}
