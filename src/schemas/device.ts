import { Type } from '@sinclair/typebox'

/** The answer of both routes that start a device login (RFC 8628, section 3.2). */
export const DeviceAuthorization = Type.Object(
  {
    device_code: Type.String({ description: 'A secret of the device, with which it asks for the token' }),
    user_code: Type.String({ description: 'The code that the person types or compares' }),
    verification_uri: Type.String({ description: 'The page where the person types the code' }),
    verification_uri_complete: Type.String({ description: 'The same page with the code filled in' }),
    expires_in: Type.Integer({ description: 'Seconds until the code expires' }),
    interval: Type.Integer({ description: 'Seconds to wait between two requests for the token' }),
  },
  {
    description: 'OK',
    examples: [
      {
        device_code: 'GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS_4',
        user_code: 'WDJB-1234',
        verification_uri: 'https://account.thefocus.ai/device',
        verification_uri_complete: 'https://account.thefocus.ai/device?user_code=WDJB-1234',
        expires_in: 900,
        interval: 5,
      },
    ],
  },
)
