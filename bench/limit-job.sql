-- Reserve 5, then complete at 3: two operations, each with one statement and one commit.
\set turn :turn + 1
\set account random(1, :accounts)
\set clock :base + :turn * 64 + :client_id
\set chance random(1, 9000000000000000000)

with account as (
  update accounts set credits = credits - 5, held = held + 5, seq = seq + 1
  where id = account_id(:account) and credits >= 5
  returning id, credits, seq
), job as (
  insert into jobs (account_id, id, app_slug, action, reserved, metadata)
  select id, job_id(:clock, :chance), 'video', 'render', 5,
    '{"description": "Render preview clip", "previewUrl": "https://video.example.com/previews/abc123.jpg"}' from account
), entry as (
  insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after)
  select id, seq, job_id(:clock, :chance), 'job_reserve', -5, credits from account
)
select credits from account;

with job as (
  update jobs set status = 'completed', actual_cost = 3, metadata = metadata || '{"durationMs": 1200}', updated_at = now()
  where account_id = account_id(:account) and id = job_id(:clock, :chance) and status = 'started'
  returning reserved
), account as (
  update accounts set credits = credits + job.reserved - 3, held = held - job.reserved, seq = seq + 1
  from job where accounts.id = account_id(:account)
  returning id, credits, seq, job.reserved - 3 as refund
), entry as (
  insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after)
  select id, seq, job_id(:clock, :chance), 'job_refund', refund, credits from account
)
select credits from account;
