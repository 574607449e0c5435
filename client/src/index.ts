export type { Input, OperationId, Output, PublicOperationId, Schemas } from './api.ts'
export type { ErrorCodes } from './api-types.d.ts'
export { createFocus, type Focus } from './create-focus.ts'
export type { GetToken, Token } from './credentials.ts'
export {
  type ErrorCode,
  FocusError,
  HoldLost,
  InsufficientCredits,
  JobAlreadyEnded,
  NotSignedIn,
  SettleKeyRequired,
  type Settlement,
  SettleUnknown,
} from './focus-error.ts'
export type { CallOptions, FocusOptions } from './send.ts'
export { type RawRequest, verifyWebhook, type WebhookEvent } from './verify-webhook.ts'
export type { HeldBefore, HeldJob, HoldOptions } from './with-hold.ts'
