import type { Static, TProperties } from '@sinclair/typebox'

/** A request that was refused or failed. It is thrown where the fault is noticed; error-handler.ts sends it. */
export class ApiError extends Error {
  readonly statusCode: number
  readonly code: string
  readonly details: Record<string, unknown>
  readonly headers: Record<string, string>
  /** The same request may succeed later, though nothing of it is changed */
  passing = false

  /**
   * Use the errors of catalogue.ts instead of calling this.
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

/** An error that the service answers with. Calling it makes the `ApiError` to throw. */
export interface ErrorKind<Given extends unknown[] = never[]> {
  (...given: Given): ApiError
  readonly status: number
  readonly code: string
  /** Schemas of the fields that this error adds to the body */
  readonly fields: TProperties
  /** An example of the error, for the document */
  readonly example: ApiError
}

interface More<Given extends unknown[], Fields extends TProperties> {
  /** The arguments of the example in the document */
  example: Given
  /** Schemas of what `details` adds to the body */
  fields?: Fields
  details?: (...given: Given) => { [Name in keyof Fields]: Static<Fields[Name]> }
  headers?: (...given: Given) => Record<string, string>
}

/**
 * Declares an error.
 * @param status HTTP status
 * @param code stable machine-readable code; errors with different sentences may share one
 * @param sentence says what is wrong and what to do about it; a function makes it from the arguments of the error
 */
export function apiError(
  status: number,
  code: string,
  sentence: string,
  more?: Pick<More<[], TProperties>, 'headers'>,
): ErrorKind<[]>
export function apiError<Given extends unknown[], Fields extends TProperties>(
  status: number,
  code: string,
  sentence: (...given: Given) => string,
  more: More<Given, Fields>,
): ErrorKind<Given>
export function apiError<Given extends unknown[], Fields extends TProperties>(
  status: number,
  code: string,
  sentence: string | ((...given: Given) => string),
  more: Partial<More<Given, Fields>> = {},
): ErrorKind<Given> {
  const make = (...given: Given) =>
    new ApiError(
      status,
      code,
      typeof sentence === 'string' ? sentence : sentence(...given),
      more.details?.(...given),
      more.headers?.(...given),
    )
  const example = make(...(more.example ?? ([] as unknown[] as Given)))
  return Object.assign(make, { status, code, fields: more.fields ?? {}, example })
}

/** A refusal by the framework that the catalogue does not know: it keeps its status and its sentence. */
export const otherRefusal = (status: number, sentence: string): ApiError =>
  new ApiError(status, 'bad_request', sentence)
