/** Errors with a message for the user, and an exit code. */

export const EXIT = { failed: 1, usage: 2, notSignedIn: 4, interrupted: 130 } as const

export class Failure extends Error {
  readonly code: string
  readonly exitCode: number
  readonly hint: string | undefined
  readonly details: Record<string, unknown>

  /**
   * @param code stable and machine-readable: the server's `error`, or one of the CLI's own
   * @param message a sentence
   * @param more `hint`: what to do about it; `details`: the other fields of the server's answer, for --json
   */
  constructor(
    code: string,
    message: string,
    more: { exitCode?: number; hint?: string | undefined; details?: Record<string, unknown> } = {},
  ) {
    super(message)
    this.code = code
    this.exitCode = more.exitCode ?? EXIT.failed
    this.hint = more.hint
    this.details = more.details ?? {}
  }
}

/** An argument or environment variable is wrong. */
export const usage = (message: string, hint?: string): Failure =>
  new Failure('usage', message, { exitCode: EXIT.usage, hint })
