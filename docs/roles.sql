-- A restricted database role for the service.
--
-- The role that owns the tables can change everything, including the triggers that protect ledger entries. Let that role run the
-- migrations (MIGRATE_DATABASE_URL), and let the service (DATABASE_URL) connect as a member of focus_service, which can do what the
-- service needs, but can neither change nor delete entries of the ledger or of the audit log.
--
--   1. npm run migrate                                    with MIGRATE_DATABASE_URL of the owner
--   2. psql "$MIGRATE_DATABASE_URL" -f docs/roles.sql     once, as the owner; it may be run again
--   3. create role focus login password '…' in role focus_service
--   4. start the service with DATABASE_URL of that role, and MIGRATE_DATABASE_URL of the owner (or MIGRATE_ON_START=false)
--
-- For step 2 the owner needs the right to create roles, unless an administrator has created focus_service.

do $$ begin
  if not exists (select from pg_roles where rolname = 'focus_service') then
    create role focus_service nologin;
  end if;
end $$;

grant usage on schema public to focus_service;

-- The present tables, and those that this owner creates in later migrations. Without TRUNCATE, TRIGGER and REFERENCES.
grant select, insert, update, delete on all tables in schema public to focus_service;
alter default privileges in schema public grant select, insert, update, delete on tables to focus_service;

-- Entries and the audit log are written once.
revoke update, delete, truncate on ledger_entries, admin_actions from focus_service;
-- Accounts, their jobs, their grants and their purchases are never deleted.
revoke delete, truncate on accounts, jobs, app_grants, purchases from focus_service;
-- Only the owner writes migration records.
revoke insert, update, delete on kysely_migration, kysely_migration_lock from focus_service;
