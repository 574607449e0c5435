import type { Lists, Methods, OperationId, PublicOperationId } from './api.ts'
import { OPERATIONS } from './operation-table.ts'
import { addressed, type CallOptions, type FocusOptions, type Operation, sender } from './send.ts'
import { holds } from './with-hold.ts'

export type Client<Ids extends OperationId> = Methods<Ids> & Lists<Ids> & ReturnType<typeof holds>
export type Focus = Client<PublicOperationId>

/**
 * Creates a client of a Focus API for one caller: a person, an app, or a server of the operator.
 * @throws {FocusError} secret_in_browser
 */
export const createFocus = (options: FocusOptions): Focus => clientOf(options, OPERATIONS)

/** Builds a client. @param table lines of operation-table.ts; must include the operations that `holds` calls */
export function clientOf<Ids extends OperationId>(options: FocusOptions, table: string): Client<Ids> {
  const send = sender(options)
  const operations: Record<string, Operation> = {}
  const methods: Record<string, unknown> = {}
  for (const line of table.split('\n')) {
    const [id = '', flags = '', path = ''] = line.split(' ')
    const operation = { id, path, method: flags.slice(0, 1), has: (flag: string) => flags.includes(flag) }
    operations[id] = operation
    const call = async (input?: object, how?: CallOptions) => (await send(operation, input, how)).body
    methods[id] = operation.has('h') ? (input: object = {}) => addressed(options.url, operation, input).url : call
    // `listJobs` returns one page. `jobs` iterates over the rows of all pages.
    if (!id.startsWith('list')) continue
    methods[id.slice(4, 5).toLowerCase() + id.slice(5)] = async function* (input?: object, how?: CallOptions) {
      let cursor: string | undefined
      do {
        const page = await call({ ...input, ...(cursor && { cursor }) }, how)
        cursor = page.next_cursor
        yield* Object.values(page).find(Array.isArray) ?? []
      } while (cursor)
    }
  }
  return {
    ...methods,
    ...holds((id, input, how) => send(operations[id] as Operation, input, how), options),
  } as Client<Ids>
}
