import type { FastifyInstance } from 'fastify'
import { sql } from 'kysely'
import { EXAMPLE_APP } from '../../../identity/local.ts'

/** What a new installation needs before it is of use, and whether it has it. */
export interface Step {
  done: boolean
  title: string
  text: string
  href: string
}

/** The three first steps; undefined once an app is registered and a job was reserved: an app of programs alone needs no origin. */
export async function firstSteps({ db, config }: FastifyInstance): Promise<Step[] | undefined> {
  const exists = (query: ReturnType<typeof sql>) => sql<boolean>`exists (${query})`
  const { rows } = await sql<{ app: boolean; origin: boolean; job: boolean }>`select
    ${exists(sql`select 1 from apps where not (slug = ${EXAMPLE_APP.slug} and name = ${EXAMPLE_APP.name})`)} as app,
    ${exists(sql`select 1 from apps where origins <> '{}'`)} as origin,
    ${exists(sql`select 1 from jobs`)} as job`.execute(db)
  const [found] = rows
  if (!found) throw new Error('a query without a row')
  const origin = found.origin || config.allowedOrigins.length > 0
  if (found.app && found.job) return undefined
  return [
    {
      done: found.app,
      title: 'Register an app',
      text: 'A name, a slug that its requests carry, and the credits that each new person gets.',
      href: '/console/apps#register',
    },
    {
      done: origin,
      title: 'Allow its origin',
      text: 'The address of its web pages, so that they can sign people in. Programs and servers need none.',
      href: '/console/apps',
    },
    {
      done: found.job,
      title: 'Reserve a first credit',
      text: 'Sign in to the app and start a job, or send the request of the documentation.',
      href: '/docs/api#reserve-and-settle-a-job',
    },
  ]
}
