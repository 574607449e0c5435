-- A restricted database role for the service.
--
-- The role that owns the tables can do anything to them, a ledger entry's trigger included. Let that role run the migrations
-- (MIGRATE_DATABASE_URL), and the service itself (DATABASE_URL) connect as a member of focus_service, which can do what the
-- service does and can neither change nor delete an entry of the ledger or of the audit log.
--
--   1. npm run migrate                                    with MIGRATE_DATABASE_URL of the owner
--   2. psql "$MIGRATE_DATABASE_URL" -f docs/roles.sql     once, as the owner; it may be run again
--   3. create role focus login password '…' in role focus_service
--   4. start the service with DATABASE_URL of that role, and MIGRATE_DATABASE_URL of the owner (or MIGRATE_ON_START=false)
--
-- The owner needs the right to create roles for step 2, or an administrator creates focus_service before.

do $$ begin
  if not exists (select from pg_roles where rolname = 'focus_service') then
    create role focus_service nologin;
  end if;
end $$;

grant usage on schema public to focus_service;

-- Tables of today and of later migrations (those that this owner creates). Never TRUNCATE, TRIGGER or REFERENCES.
grant select, insert, update, delete on all tables in schema public to focus_service;
alter default privileges in schema public grant select, insert, update, delete on tables to focus_service;

-- Entries and the audit log are written once.
revoke update, delete, truncate on ledger_entries, admin_actions from focus_service;
-- Accounts, their jobs, their grants and their purchases are never deleted.
revoke delete, truncate on accounts, jobs, app_grants, purchases from focus_service;
-- Only the owner writes migration records.
revoke insert, update, delete on kysely_migration, kysely_migration_lock from focus_service;
