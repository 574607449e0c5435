import { ApiError } from '../errors.ts'

/** The answers that both identities give to a token or a provider that fails. */

export const invalidToken = () =>
  new ApiError(401, 'invalid_token', 'The token is not one that we accept; sign in again.')

export const tokenExpired = () =>
  new ApiError(401, 'token_expired', 'The token has expired; get a new one or sign in again.')

export const tokenNotActiveYet = () =>
  new ApiError(401, 'token_not_active_yet', 'The token is not valid yet; check the clock of whoever issued it.')

export const providerUnavailable = () =>
  new ApiError(
    503,
    'identity_provider_unavailable',
    'The identity provider does not answer; try again shortly.',
    {},
    { 'retry-after': '2' },
  )
