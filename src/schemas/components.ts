import { Account, AppEntry, Entry, WalletResponse } from './account.ts'
import { App } from './admin.ts'
import { OAuthError } from './authorization-server.ts'
import { ErrorBody, SessionUnauthorized } from './errors.ts'
import { Grant } from './grants.ts'
import {
  HeartbeatRequest,
  Job,
  JobCompleteRequest,
  JobFailRequest,
  JobSettled,
  JobStartRequest,
  JobStartResponse,
} from './jobs.ts'
import { AdminAccount, AdminAction, AdminJob, AdminPack, AdminPurchase, Overview } from './operator.ts'
import { AutoTopup, Pack, Purchase, ServiceKey } from './payments.ts'
import { UsageResponse, UsageRow, UsageSums } from './usage.ts'
import { WebhookDelivery, WebhookEndpoint, WebhookMessage } from './webhooks.ts'

/** The named components of the OpenAPI document, in the order in which it lists them. */
export const components = [
  Account,
  AppEntry,
  AutoTopup,
  WalletResponse,
  JobStartRequest,
  JobStartResponse,
  JobCompleteRequest,
  JobFailRequest,
  HeartbeatRequest,
  ErrorBody,
  SessionUnauthorized,
  Job,
  JobSettled,
  Entry,
  App,
  WebhookEndpoint,
  WebhookMessage,
  OAuthError,
  WebhookDelivery,
  Pack,
  Purchase,
  ServiceKey,
  AdminAccount,
  AdminAction,
  AdminJob,
  AdminPack,
  AdminPurchase,
  Overview,
  Grant,
  UsageSums,
  UsageRow,
  UsageResponse,
]
