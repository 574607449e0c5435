import { query } from './database.ts'

/** A hash of a table's rows, for every copy; %1$s is what Citus calls the copy. */
const HASHES = `select logicalrelid::regclass::text as table, count(distinct result) as versions, bool_and(success) as read
  from pg_dist_partition, run_command_on_placements(logicalrelid,
    'select md5(coalesce(string_agg(r::text, chr(10) order by r::text), '''')) from %s r')
  where partmethod = 'n' group by logicalrelid`

/**
 * On a cluster every node has a copy of the small tables. A statement that gives each node its own value, such as of random(), would
 * make them differ without an error.
 * @param url of the coordinator
 * @throws where the copies of a table differ
 */
export async function checkCopies(url: string): Promise<void> {
  const tables = await query<{ table: string; versions: string; read: boolean }>(url, HASHES)
  if (tables.length === 0) throw new Error('the cluster has no reference tables')
  const differing = tables.filter(({ versions, read }) => versions !== '1' || !read)
  if (differing.length) throw new Error(`Copies differ between nodes: ${differing.map(({ table }) => table)}`)
}
