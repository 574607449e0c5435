import { type Kysely, sql } from 'kysely'

/**
 * jsonb writes 1e300 with three hundred zeros, JSON with five characters: metadata of such numbers, taken at the
 * start of a job, was too large for every merge. From 1e21 up and below 1e-6 JSON has an exponent; float8 writes the
 * same digits, but two for an exponent of one.
 */
const mergeMetadata = `create or replace function merge_metadata(old jsonb, patch jsonb) returns jsonb
  immutable language sql as $$
    select case
      when patch is null then old
      when octet_length(merged::text) <= 16384 then merged
      when octet_length(merged::text) - (
        select sum(case jsonb_typeof(node)
          when 'object' then greatest(2 * (select count(*) from jsonb_object_keys(node)) - 1, 0)
          when 'array' then greatest(jsonb_array_length(node) - 1, 0)
          when 'number' then case
            when node::numeric = 0 or abs(node::numeric) >= 1e-6 and abs(node::numeric) < 1e21 then 0
            else octet_length(node::text) - octet_length(replace(node::float8::text, 'e-0', 'e-')) end
          else 0 end)
        from jsonb_path_query(merged, 'strict $.**') node) <= 16384 then merged
      else old end
    from (select coalesce(old, '{}') || coalesce(patch, '{}') as merged) as both_of_them $$`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(mergeMetadata).execute(db)
}
