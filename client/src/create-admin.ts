import { ADMIN_OPERATIONS } from './admin-operations.ts'
import type { OperationId } from './api.ts'
import { type Client, clientOf } from './create-focus.ts'
import { OPERATIONS } from './operation-table.ts'
import type { FocusOptions } from './send.ts'

export type FocusAdmin = Client<OperationId>

/** As `createFocus`, with the operations of administrators beside the others. */
export const createFocusAdmin = (options: FocusOptions): FocusAdmin =>
  clientOf(options, `${OPERATIONS}\n${ADMIN_OPERATIONS}`)
