import { providerUnavailable } from '../http/catalogue.ts'

/** What all calls to the identity for one answer may take together, in ms. */
const IDENTITY_MS = 5_000

/** When an answer that is begun now has to be there, in ms since 1970. */
export const answerBy = (): number => Date.now() + IDENTITY_MS

/** @throws {ApiError} 503 identity_provider_unavailable when `deadline` passes first; the work goes on unheard */
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
