import { ApiError } from '../http/errors.ts'

/** The answers that both identities give to a token or a provider that fails. */

export const invalidToken = () =>
  new ApiError(401, 'invalid_token', 'The token is not one that we accept; sign in again.')

export const tokenExpired = () =>
  new ApiError(401, 'token_expired', 'The token has expired; get a new one or sign in again.')

export const tokenNotActiveYet = () =>
  new ApiError(401, 'token_not_active_yet', 'The token is not valid yet; check the clock of whoever issued it.')

/** @param waitMs after how long it is worth trying again */
export const providerUnavailable = (waitMs = 2_000) =>
  new ApiError(
    503,
    'identity_provider_unavailable',
    'The identity provider does not answer; try again shortly.',
    {},
    { 'retry-after': String(Math.max(Math.ceil(waitMs / 1000), 1)) },
  )

export const unknownProvider = () =>
  new ApiError(
    404,
    'unknown_provider',
    'There is no such provider here, such as x or google; the operator sets them up.',
  )

export const notConnected = () =>
  new ApiError(404, 'not_connected', 'You have no account of this provider connected; connect one first.')

export const reconnectRequired = () =>
  new ApiError(404, 'reconnect_required', 'The provider takes your connection no more; connect your account again.')
