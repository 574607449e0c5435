import type { Api } from './api.ts'
import { Failure } from './failure.ts'
import type { Focus } from './focus.ts'
import { printStream } from './output.ts'

type Path = '/api/wallet/entries' | '/api/usage' | '/api/admin/usage'

/**
 * Prints the CSV that a path answers, as it arrives, because it may not fit into memory.
 * @throws {Failure} export_incomplete if the connection breaks; the server's errors
 */
export async function exported(focus: Focus, path: Path, params: { params: { query: object } }): Promise<void> {
  const options = { ...params, headers: { accept: 'text/csv' }, parseAs: 'stream' } as never
  const body = (await focus.ask((api: Api) => api.GET(path, options))) as unknown as ReadableStream<Uint8Array>
  try {
    await printStream(body)
  } catch (error) {
    const { code, message } = (error as { cause?: NodeJS.ErrnoException }).cause ?? (error as NodeJS.ErrnoException)
    throw new Failure('export_incomplete', `The connection broke (${code ?? message}), so the export is incomplete`, {
      hint: 'Repeat the command.',
    })
  }
}
