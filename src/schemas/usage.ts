import { Type } from '@sinclair/typebox'
import { Credits, nullable, ref } from './primitives.ts'

const sums = {
  jobs: Type.Integer({ minimum: 0, description: 'Jobs that were created in the period' }),
  completed: Type.Integer({ minimum: 0 }),
  failed: Type.Integer({ minimum: 0, description: 'Including expired jobs' }),
  credits: Credits({
    description:
      'What the ended jobs cost, with overages and late charges. What an administrator refunded is not subtracted',
  }),
  held: Credits({ description: 'What the started jobs hold' }),
}

const EXAMPLE = { jobs: 12, completed: 9, failed: 2, credits: 41, held: 5 }

export const UsageSums = Type.Object(sums, { $id: 'UsageSums', examples: [EXAMPLE] })

const group = (description: string) => Type.Optional(nullable(Type.String({ description })))

export const UsageRow = Type.Object(
  {
    key: nullable(
      Type.String({
        description:
          'The value that the row is grouped by; with several groupings all of their values, separated by slashes. null: jobs that were started without a token',
      }),
    ),
    app: group('With this grouping'),
    action: group('With this grouping'),
    token: group('With this grouping: id of the token that started the jobs, or of the grant that it belongs to'),
    day: group('With this grouping: a date, UTC'),
    plan: group('With this grouping'),
    name: group('With the grouping by token: the name of the token or grant; null once it is deleted'),
    ...sums,
  },
  { $id: 'UsageRow', examples: [{ key: 'video', app: 'video', ...EXAMPLE }] },
)

const Day = Type.String({ format: 'date' })

export const UsageResponse = Type.Object(
  {
    from: Type.String({ format: 'date', description: 'First day of the period, UTC' }),
    to: Type.String({ format: 'date', description: 'The day after the last day of the period' }),
    rows: Type.Array(ref(UsageRow), { description: 'By day, newest first; without days, by credits, most first' }),
    total: ref(UsageSums),
    more: Type.Boolean({ description: 'true: there are more rows; the total includes them' }),
  },
  {
    $id: 'UsageResponse',
    examples: [
      {
        ...{ from: '2026-10-28', to: '2026-11-27' },
        rows: [{ key: 'video', app: 'video', ...EXAMPLE }],
        ...{ total: EXAMPLE, more: false },
      },
    ],
  },
)

/** The query of a route about usage. @param groups what its rows can be grouped by */
export const usageQuery = (groups: readonly string[]) => {
  const one = `(${groups.join('|')})`
  return {
    group_by: Type.Optional(
      Type.String({
        pattern: `^${one}(,${one}){0,${groups.length - 1}}$`,
        default: 'app',
        description: `One or several of ${groups.join(', ')}, with commas: rows for each combination`,
      }),
    ),
    from: Type.Optional({ ...Day, description: 'First day, UTC. Default: 30 days before `to`' }),
    to: Type.Optional({
      ...Day,
      description:
        'The day after the last, at most 400 days after `from`. Default: tomorrow, so that today is included',
    }),
  }
}
