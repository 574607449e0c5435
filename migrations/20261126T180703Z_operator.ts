import { type Kysely, sql } from 'kysely'

/**
 * Indexes for what an operator reads across accounts, and the audit log. No index is on a column that postings change: an index with
 * `credits`, even only in its condition, would prevent HOT updates of accounts.
 *
 * An action belongs to the account that it concerns, otherwise to the administrator's own, and is sharded with it, so that it can be committed
 * with a posting. It names the administrator by account id, which stays when that account is erased.
 */
const statements = [
  'create index accounts_by_age on accounts (created_at, id)',
  'create index accounts_closed on accounts (closed_at, id) where closed_at is not null',
  'create index tokens_by_last_four on tokens (last_four)',
  // Starter grants are left out: they have the same reference in every account, and are not searched for.
  `create index ledger_entries_by_reference on ledger_entries (reference)
    where reference is not null and kind <> 'starter_grant'`,
  'create index purchases_by_payment on purchases (payment_id) where payment_id is not null',
  'create index purchases_by_checkout on purchases (checkout_id) where checkout_id is not null',

  `create table admin_actions (
    account_id uuid not null,
    id uuid not null,
    concerns_account boolean not null,
    actor_id uuid not null,
    via text not null check (via in ('api', 'cli', 'console')),
    token_id uuid,
    action text not null,
    target text,
    reason text,
    before jsonb,
    after jsonb,
    created_at timestamptz not null default now(),
    primary key (account_id, id)
  )`,
  'create index admin_actions_by_id on admin_actions (id)',
  'create index admin_actions_by_actor on admin_actions (actor_id, id)',
  'create index admin_actions_by_action on admin_actions (action, id)',
  'create index admin_actions_by_target on admin_actions (target, id) where target is not null',
  `create function admin_actions_refuse_change() returns trigger language plpgsql as $$
    begin
      raise exception 'admin_actions is append-only: % refused', tg_op using errcode = 'restrict_violation';
    end $$`,
  `create trigger admin_actions_append_only before update or delete on admin_actions
    for each row execute function admin_actions_refuse_change()`,
  `create trigger admin_actions_no_truncate before truncate on admin_actions
    for each statement execute function admin_actions_refuse_change()`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
