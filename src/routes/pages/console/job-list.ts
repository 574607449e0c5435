import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { JOBS_CURSOR, listAllJobs } from '../../../operator/all-jobs.ts'
import { oneOf, Slug } from '../../../schemas/primitives.ts'
import { JOB_WORDS } from '../words.ts'
import { titlesOf } from './account-reads.ts'
import { JOB_COLUMNS, jobCells, personCell } from './account-rows.ts'
import { time } from './cells.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { choice, table } from './table.ts'

const EMPTY = {
  all: 'No job yet. A job appears here when an app reserves credits of a person.',
  started: 'No job runs.',
  overdue:
    'No hold is overdue. A job whose app has neither ended it nor extended its hold appears here, until its hold is given back.',
  completed: 'No job has been completed here.',
  failed: 'No job has failed here.',
  expired: 'No hold has expired here: apps have ended their jobs in time.',
}

/** Jobs of all accounts. */
export const jobListPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/console/jobs',
    {
      schema: {
        hide: true,
        querystring: Type.Object({
          show: Type.Optional(oneOf(['started', 'overdue', 'completed', 'failed', 'expired'] as const)),
          app: Type.Optional(Slug),
          cursor: Type.Optional(Type.String({ pattern: JOBS_CURSOR.source })),
        }),
      },
    },
    async (request, reply) => {
      const { show, app: slug, cursor } = request.query
      const filter = show === 'overdue' || show === 'expired' ? { [show]: true } : { status: show }
      const isHolds = show === 'started' || show === 'overdue'
      const { jobs, next_cursor } = await listAllJobs(app.db, { app: slug, ...filter }, { cursor })
      const titles = await titlesOf(
        app.db,
        jobs.map(({ account_id }) => account_id),
      )
      const apps = await app.db.selectFrom('apps').select(['slug', 'name']).orderBy('slug').limit(12).execute()
      return consolePage(request, reply, 'list', {
        title: 'Jobs',
        section: 'jobs',
        help: HELP.jobs,
        choices: [
          choice(request, 'State', 'show', {
            ...{ '': 'All', started: 'Running', overdue: 'Overdue', completed: 'Completed' },
            ...{ failed: JOB_WORDS.failed, expired: 'Expired' },
          }),
          choice(request, 'App', 'app', {
            '': 'Every app',
            ...Object.fromEntries(apps.map(({ slug, name }) => [slug, name ?? slug])),
            // An app that is not registered, by a link of an account.
            ...(slug !== undefined && { [slug]: apps.find((one) => one.slug === slug)?.name ?? slug }),
          }),
        ],
        table: table(request, {
          caption: isHolds ? 'Jobs, by when their holds end' : 'Jobs, newest first',
          columns: [...(isHolds ? ['Hold ends'] : []), ...JOB_COLUMNS, 'Account'],
          empty: next_cursor ? 'None among the latest jobs: look at the next page.' : EMPTY[show ?? 'all'],
          next_cursor,
          rows: jobs.map((job) => [
            ...(isHolds ? [time(job.expires_at)] : []),
            ...jobCells(job.account_id, job),
            personCell(job.account_id, titles),
          ]),
        }),
      })
    },
  )
}
