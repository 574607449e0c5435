import { Type } from '@sinclair/typebox'
import { Credits, EXAMPLE_TIME, nullable, oneOf, Timestamp } from './primitives.ts'

export const AdjustmentKind = oneOf(['topup', 'admin_grant', 'adjustment'] as const)

/** Exactly one of the two fields. */
export const MaxOverage = Type.Object(
  {
    credits: Type.Optional(Credits({ description: 'Credits beyond the estimate' })),
    percent: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 100_000,
        description: 'Per cent of the estimate beyond it; 200: three times the estimate in all',
      }),
    ),
  },
  {
    minProperties: 1,
    maxProperties: 1,
    description:
      'How far the cost of a job may exceed its estimate; completing it for more charges up to this limit. null: no limit',
  },
)

export const App = Type.Object(
  {
    slug: Type.String(),
    name: nullable(Type.String()),
    starter_credits: Credits(),
    max_overage: nullable(MaxOverage),
    origins: Type.Array(Type.String()),
    return_paths: Type.Array(Type.String()),
    redirect_uris: Type.Array(Type.String()),
    resources: Type.Array(Type.String()),
    has_settle_key: Type.Boolean({
      description: "Whether the app has a settle key; then a user's token alone cannot settle its jobs",
    }),
    settle_key: Type.Optional(
      Type.String({ description: 'The new settle key, returned only when it is made; keep it on a server' }),
    ),
    created_at: Timestamp,
  },
  {
    $id: 'App',
    examples: [
      {
        slug: 'video',
        name: 'Video',
        starter_credits: 20,
        max_overage: { percent: 200 },
        origins: ['https://video.example.com'],
        return_paths: [],
        redirect_uris: ['https://video.example.com/callback'],
        resources: [],
        has_settle_key: false,
        created_at: EXAMPLE_TIME,
      },
    ],
  },
)
