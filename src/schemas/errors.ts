import { Type } from '@sinclair/typebox'

export const ErrorBody = Type.Object(
  {
    error: Type.String({ description: 'A stable, machine-readable code' }),
    message: Type.Optional(Type.String({ description: 'A sentence that a person can act on' })),
    request_id: Type.Optional(Type.String({ description: 'The id of the request in the log of the service' })),
  },
  {
    $id: 'Error',
    additionalProperties: true,
    examples: [{ error: 'invalid_request', message: 'app is missing', field: 'app' }],
  },
)

export const SessionUnauthorized = Type.Object(
  {
    error: Type.String(),
    message: Type.Optional(Type.String()),
    signin_url: Type.String({ description: 'URL to initiate sign-in with redirect_to back to caller' }),
    request_id: Type.Optional(Type.String()),
  },
  {
    $id: 'SessionUnauthorized',
    additionalProperties: true,
    examples: [
      {
        error: 'not_signed_in',
        message: 'Sign in, or send a bearer token.',
        signin_url: 'https://account.thefocus.ai/signin?redirect_to=https%3A%2F%2Fapp.example.com%2F',
      },
    ],
  },
)
