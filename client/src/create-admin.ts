import { ADMIN_OPERATIONS } from './admin-operations.ts'
import type { OperationId } from './api.ts'
import { type Client, clientOf } from './create-focus.ts'
import { OPERATIONS } from './operation-table.ts'
import type { FocusOptions } from './send.ts'

export type FocusAdmin = Client<OperationId>

/** The same as `createFocus`, with the operations of administrators added. */
export const createFocusAdmin = (options: FocusOptions): FocusAdmin =>
  clientOf(options, `${OPERATIONS}\n${ADMIN_OPERATIONS}`)
