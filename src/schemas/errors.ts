import { Type } from '@sinclair/typebox'

/** The fields of every error. `http/refusals.ts` adds the codes and further fields of each response. */

export const EXAMPLE_REQUEST = '5b0f2f0e-8a55-4c1e-9d0e-2f6f7a1b3c4d'

const common = {
  error: Type.String({ description: 'A stable, machine-readable code' }),
  message: Type.String({ description: 'A sentence that a person can act on; it may change' }),
  request_id: Type.String({ description: 'The id of the request in the log of the service' }),
}

export const ErrorBody = Type.Object(common, {
  $id: 'Error',
  examples: [
    {
      error: 'job_not_found',
      message: 'You have no job with this id.',
      request_id: EXAMPLE_REQUEST,
    },
  ],
})

export const SessionUnauthorized = Type.Object(
  {
    ...common,
    signin_url: Type.String({ description: 'URL to initiate sign-in with redirect_to back to caller' }),
  },
  {
    $id: 'SessionUnauthorized',
    examples: [
      {
        error: 'not_signed_in',
        message: 'Sign in, or send a bearer token.',
        signin_url: 'https://account.thefocus.ai/signin?redirect_to=https%3A%2F%2Fapp.example.com%2F',
        request_id: EXAMPLE_REQUEST,
      },
    ],
  },
)
