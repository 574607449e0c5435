/** An answer other than success. It is thrown where the fault is noticed; error-handler.ts writes it to the wire. */
export class ApiError extends Error {
  readonly statusCode: number
  readonly code: string
  readonly details: Record<string, unknown>
  readonly headers: Record<string, string>

  /**
   * @param statusCode HTTP status
   * @param code stable machine-readable code, the `error` of the body
   * @param message a sentence that a person can act on; it is sent
   */
  constructor(
    statusCode: number,
    code: string,
    message: string,
    details: Record<string, unknown> = {},
    headers: Record<string, string> = {},
  ) {
    super(message)
    this.statusCode = statusCode
    this.code = code
    this.details = details
    this.headers = headers
  }
}

/** 400 for a request whose shape is right and whose content is not. `field` is the name as sent. */
export const badField = (field: string, message: string): ApiError =>
  new ApiError(400, 'invalid_request', `${field} ${message}`, { field })

/**
 * 429, with what the IETF draft calls RateLimit headers.
 * @param limit how many there may be in a window
 * @param seconds until the window ends
 */
export const tooMany = (code: string, message: string, limit: number, seconds: number): ApiError =>
  new ApiError(
    429,
    code,
    message,
    {},
    {
      'retry-after': String(Math.max(1, seconds)),
      'ratelimit-limit': String(limit),
      'ratelimit-remaining': '0',
      'ratelimit-reset': String(Math.max(1, seconds)),
    },
  )
