/** Rate limits; the audit of what agents change; which lease was reported as run out; and an audit end that cannot be cut unseen. */
export const sql = /* sql */ `
-- Unlogged: nothing here outlives a crash of the server, and a request that only reads need not wait for a disk.
create unlogged table rate_limits (
  key text primary key,
  full_at timestamptz not null,
  granted integer not null,
  refused bigint not null default 0
) with (fillfactor = 50);
create index idempotency_keys_by_age on idempotency_keys (created_at);

-- The lease epoch whose end was reported; a lease is reported once.
alter table intents add column lease_alarm_epoch bigint;

-- Whoever changes something from a host: its name, or the login.
create function audit_actor() returns text language sql stable as $$
  select coalesce((select 'host:' || h.name from public.hosts h where h.pg_role = session_user), 'database:' || session_user)
$$ set search_path = pg_catalog;
revoke execute on function audit_actor() from public;

-- What agents change, each in the transaction of the change. At its end, so that the end of the chain is locked last by everybody,
-- and for a moment only.
drop trigger audit_outcome on intents;
drop function audit_outcome();
create function audit_intent() returns trigger language plpgsql security definer as $$
begin
  if new.committed_at is distinct from old.committed_at then
    insert into public.audit (actor, action, target, outcome, details)
    values (public.audit_actor(), 'intent.committed', 'intent:' || new.id, 'succeeded',
      jsonb_build_object('kind', new.kind, 'workloadId', new.workload_id, 'leaseEpoch', new.lease_epoch));
  end if;
  if new.state <> old.state and new.state in ('succeeded', 'failed', 'rolled_back', 'cancelled', 'stuck') then
    insert into public.audit (actor, action, target, outcome, code, details)
    values (public.audit_actor(), 'intent.' || new.state, 'intent:' || new.id,
      case new.state when 'succeeded' then 'succeeded' else 'failed' end, new.error ->> 'code',
      jsonb_build_object('kind', new.kind, 'workloadId', new.workload_id, 'leaseEpoch', new.lease_epoch, 'from', old.state));
  end if;
  return null;
end $$ set search_path = pg_catalog;
-- An intent that nobody has claimed is cancelled by a request, which is audited itself.
create constraint trigger audit_intent after update on intents deferrable initially deferred for each row
  when ((new.state <> old.state and new.state in ('succeeded', 'failed', 'rolled_back', 'cancelled', 'stuck')
      and not (old.state = 'pending' and new.state = 'cancelled'))
    or new.committed_at is distinct from old.committed_at)
  execute function audit_intent();

create function audit_snapshot() returns trigger language plpgsql security definer as $$
begin
  insert into public.audit (actor, action, target, outcome, details)
  values (public.audit_actor(), case tg_op when 'INSERT' then 'snapshot.registered' else 'snapshot.deleted' end,
    'snapshot:' || new.id, 'succeeded',
    jsonb_build_object('kind', new.kind, 'workloadId', new.workload_id, 'intentId', new.intent_id, 'manifestSha256', new.manifest_sha256));
  return null;
end $$ set search_path = pg_catalog;
create constraint trigger audit_snapshot_registered after insert on snapshots deferrable initially deferred for each row
  execute function audit_snapshot();
create constraint trigger audit_snapshot_deleted after update on snapshots deferrable initially deferred for each row
  when (new.state = 'deleted' and old.state <> 'deleted') execute function audit_snapshot();

create function audit_host() returns trigger language plpgsql security definer as $$
begin
  insert into public.audit (actor, action, target, outcome, details)
  values (public.audit_actor(), case when new.agent_instance is null then 'host.released' else 'host.taken' end, 'host:' || new.id,
    'succeeded', jsonb_build_object('instance', new.agent_instance, 'before', old.agent_instance, 'agentVersion', new.agent_version));
  return null;
end $$ set search_path = pg_catalog;
create constraint trigger audit_host after update on hosts deferrable initially deferred for each row
  when (new.agent_instance is distinct from old.agent_instance) execute function audit_host();

-- As in 0001, and: the end of the chain is the one that audit_head holds.
create or replace function audit_first_broken() returns bigint language sql stable as $$
  select min(seq) from (
    select seq from (
      select a, lag(hash, 1, repeat('0', 64)) over (order by seq) as before, lag(seq, 1, 0::bigint) over (order by seq) as before_seq, seq
      from public.audit a) chain
    where (chain.a).prev_hash <> chain.before or chain.seq <> chain.before_seq + 1 or (chain.a).hash <> public.audit_hash(chain.a)
    union all
    select h.seq + 1 from public.audit_head h
      cross join (select coalesce(max(a.seq), 0) as seq from public.audit a) last where h.seq <> last.seq
    union all
    select h.seq from public.audit_head h join public.audit a on a.seq = h.seq where a.hash <> h.hash
    union all
    select 1 where not exists (select from public.audit_head)
  ) broken
$$ set search_path = pg_catalog;

alter table rate_limits enable row level security;
alter table rate_limits force row level security;
do $$ begin
  execute format('create policy control_plane on rate_limits to %I using (true) with check (true)', current_user);
end $$;
`;
