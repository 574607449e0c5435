import { Type } from '@sinclair/typebox'
import { Credits, nullable, ref } from './primitives.ts'

const sums = {
  jobs: Type.Integer({ minimum: 0, description: 'Jobs that were created in the period' }),
  completed: Type.Integer({ minimum: 0 }),
  failed: Type.Integer({ minimum: 0, description: 'Expired ones too' }),
  credits: Credits({
    description:
      'What the ended ones cost, with overages and late charges. What an administrator refunded is not subtracted',
  }),
  held: Credits({ description: 'What the started ones hold' }),
}

const EXAMPLE = { jobs: 12, completed: 9, failed: 2, credits: 41, held: 5 }

export const UsageSums = Type.Object(sums, { $id: 'UsageSums', examples: [EXAMPLE] })

const group = (description: string) => Type.Optional(nullable(Type.String({ description })))

export const UsageRow = Type.Object(
  {
    key: nullable(
      Type.String({
        description:
          'What the row is for: the value that it is grouped by; of several groupings all of their values, with a slash between them. null: jobs that were made without a token',
      }),
    ),
    app: group('With this grouping'),
    action: group('With this grouping'),
    token: group('With this grouping: id of the token that made the jobs, or of the grant that it belongs to'),
    day: group('With this grouping: a date, UTC'),
    plan: group('With this grouping'),
    name: group('With the grouping by token: what the token is called, as long as that is known'),
    ...sums,
  },
  { $id: 'UsageRow', examples: [{ key: 'video', app: 'video', ...EXAMPLE }] },
)

const Day = Type.String({ format: 'date' })

export const UsageResponse = Type.Object(
  {
    from: Type.String({ format: 'date', description: 'First day of the period, UTC' }),
    to: Type.String({ format: 'date', description: 'The day after its last' }),
    rows: Type.Array(ref(UsageRow), { description: 'By day, newest first; without days by credits, most first' }),
    total: ref(UsageSums),
    more: Type.Boolean({ description: 'true: there are more rows than these; the total has them all' }),
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

/** The query of a route about usage. @param groups by what its rows can be grouped */
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
