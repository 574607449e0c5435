import { Type } from '@sinclair/typebox'
import { oneOf } from './primitives.ts'

export const GrantScopes = Type.Array(oneOf(['account', 'oauth', 'spend'] as const))
