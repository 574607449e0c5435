import { providerUnavailable } from '../http/catalogue.ts'

/** Time limit for all calls to the identity provider during one request, in ms. */
const IDENTITY_MS = 5_000

/** The deadline of calls that start now, in ms since 1970. */
export const answerBy = (): number => Date.now() + IDENTITY_MS

/** @throws {ApiError} 503 identity_provider_unavailable when `deadline` passes first; the result of `work` is then ignored */
export async function inTime<T>(work: Promise<T>, deadline: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(providerUnavailable()), deadline - Date.now())
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
