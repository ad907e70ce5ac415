/**
 * Trusted issuers; tokens limited to projects; and what a host's login may do, cut to what its agent does: only moves of
 * intents that an agent makes, snapshots only of intents that it was given, containers only of its own workloads.
 */
export const sql = /* sql */ `
create table issuers (
  id uuid primary key,
  name text not null unique check (name ~ '^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$'),
  issuer text not null unique,
  audience text not null,
  algorithms text[] not null check (cardinality(algorithms) > 0),
  rules jsonb not null,
  created_by text not null,
  created_at timestamptz not null default now(),
  -- The key set as it was last fetched, for every handler: a Worker remembers nothing.
  jwks jsonb,
  jwks_fetched_at timestamptz,
  jwks_tried_at timestamptz
);
alter table issuers enable row level security;
alter table issuers force row level security;
alter table schema_migrations enable row level security;
alter table schema_migrations force row level security;
do $$
declare
  name text;
begin
  foreach name in array array['issuers', 'schema_migrations'] loop
    execute format('create policy control_plane on %I to %I using (true) with check (true)', name, current_user);
  end loop;
end $$;

alter table tokens add column projects text[];

-- As in 0001, and: nothing is asked of a revoked host; a host's login makes only the moves of an agent.
create or replace function check_intent() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    if new.state <> 'pending' then
      raise exception 'an intent begins as pending, not as %', new.state using errcode = 'check_violation';
    end if;
    -- The lock makes a revocation at this moment come before or after, never in between. A host that is not there is the foreign key's.
    perform from public.hosts where id = new.host_id and revoked_at is null for share;
    if not found and exists (select from public.hosts where id = new.host_id) then
      raise exception 'the host is revoked' using errcode = 'check_violation', constraint = 'intents_host_not_revoked';
    end if;
    return new;
  end if;
  if (new.id, new.kind, new.workload_id, new.host_id, new.snapshot_id, new.undo_of, new.params, new.requested_by, new.created_at)
     is distinct from
     (old.id, old.kind, old.workload_id, old.host_id, old.snapshot_id, old.undo_of, old.params, old.requested_by, old.created_at) then
    raise exception 'what an intent asks for never changes' using errcode = 'check_violation';
  end if;
  if new.lease_epoch < old.lease_epoch then
    raise exception 'a lease epoch never falls' using errcode = 'check_violation';
  end if;
  if new.state <> old.state and not exists (
    select from public.intent_transitions where from_state = old.state and to_state = new.state
  ) then
    raise exception 'an intent cannot go from % to %', old.state, new.state using errcode = 'check_violation';
  end if;
  if starts_with(session_user, 'refloat_host_') then
    if old.state in ('succeeded', 'failed', 'rolled_back', 'cancelled') then
      raise exception 'an intent that is over does not change' using errcode = 'check_violation';
    end if;
    if old.state = 'pending' and new.state <> 'claimed' then
      raise exception 'a host claims an intent before anything else' using errcode = 'check_violation';
    end if;
    if old.committed_at is not null and new.committed_at is distinct from old.committed_at then
      raise exception 'a commit point is passed once' using errcode = 'check_violation';
    end if;
  end if;
  return new;
end $$ set search_path = pg_catalog;

create function check_snapshot() returns trigger language plpgsql as $$
begin
  if old.state = 'deleted' and (new.state, new.deleted_at) is distinct from (old.state, old.deleted_at) then
    raise exception 'a deleted snapshot stays deleted' using errcode = 'check_violation';
  end if;
  return new;
end $$ set search_path = pg_catalog;
create trigger check_snapshot before update on snapshots for each row execute function check_snapshot();

-- A snapshot belongs to an intent of this host and of this workload: an undo looks for it by that intent.
drop policy own_snapshots_add on snapshots;
create policy own_snapshots_add on snapshots for insert to refloat_agent with check (
  host_id = refloat_host_id() and exists (
    select from intents i where i.id = intent_id and i.workload_id = snapshots.workload_id and i.host_id = refloat_host_id()));
-- It is marked as deleted by the intent that asked for it.
drop policy own_snapshots_change on snapshots;
create policy own_snapshots_change on snapshots for update to refloat_agent using (host_id = refloat_host_id())
  with check (host_id = refloat_host_id() and state = 'deleted' and exists (
    select from intents i where i.snapshot_id = snapshots.id and i.kind = 'delete' and i.host_id = refloat_host_id()));
revoke update (protected_until) on snapshots from refloat_agent;

-- A container is shown with a workload: only with one of this host.
drop policy own_containers on containers;
create policy own_containers on containers to refloat_agent using (host_id = refloat_host_id()) with check (
  host_id = refloat_host_id() and (workload_id is null or exists (
    select from workloads w where w.id = workload_id and w.host_id = refloat_host_id())));
`;
