/** Every table, the intent state machine, single flight, wake-up, the audit chain, and what a host's role may do. */
export const sql = /* sql */ `
create table hosts (
  id uuid primary key,
  name text not null unique check (name ~ '^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$'),
  pg_role text unique,
  agent_instance uuid,
  agent_boot_id text,
  agent_version text,
  engine_version text,
  agent_seen_at timestamptz,
  created_at timestamptz not null default now(),
  revoked_at timestamptz
);

create table workloads (
  id uuid primary key,
  host_id uuid not null references hosts (id),
  name text not null unique,
  project text not null,
  config jsonb not null,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index workloads_by_host on workloads (host_id);

create table containers (
  host_id uuid not null references hosts (id),
  container_id text not null,
  workload_id uuid,
  name text not null,
  image text not null,
  image_id text not null,
  state text not null,
  health text,
  restart_policy text not null,
  started_at timestamptz,
  reported_at timestamptz not null default now(),
  primary key (host_id, container_id)
);

create table snapshots (
  id uuid primary key,
  workload_id uuid not null references workloads (id),
  host_id uuid not null references hosts (id),
  intent_id uuid not null,
  kind text not null check (kind in ('capture', 'pre-restore', 'imported')),
  state text not null default 'complete' check (state in ('complete', 'deleted')),
  manifest_sha256 text not null check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
  image text not null,
  image_id text not null,
  captured_at timestamptz not null,
  protected_until timestamptz,
  created_at timestamptz not null default now(),
  deleted_at timestamptz
);
create index snapshots_by_workload on snapshots (workload_id, captured_at desc);

create table snapshot_volumes (
  snapshot_id uuid not null references snapshots (id),
  host_id uuid not null references hosts (id),
  name text not null,
  scope text not null,
  archive_sha256 text not null check (archive_sha256 ~ '^[0-9a-f]{64}$'),
  archive_bytes bigint not null,
  content_bytes bigint not null,
  entries bigint not null,
  skipped integer not null default 0,
  primary key (snapshot_id, name)
);

create table intents (
  id uuid primary key,
  kind text not null check (kind in ('deploy', 'capture', 'plan', 'restore', 'undo', 'verify', 'delete')),
  state text not null default 'pending'
    check (state in ('pending', 'claimed', 'running', 'succeeded', 'failed', 'rolled_back', 'cancelled', 'stuck')),
  workload_id uuid not null references workloads (id),
  host_id uuid not null references hosts (id),
  snapshot_id uuid,
  undo_of uuid references intents (id),
  params jsonb not null default '{}',
  requested_by text not null,
  created_at timestamptz not null default now(),
  not_after timestamptz,
  cancel_requested_at timestamptz,
  committed_at timestamptz,
  claimed_at timestamptz,
  finished_at timestamptz,
  lease_epoch bigint not null default 0,
  lease_until timestamptz,
  attempts integer not null default 0,
  step text,
  progress jsonb,
  result jsonb,
  error jsonb
);
-- Single flight: the database refuses a second intent that would touch the same workload, whoever asks and from wherever.
create unique index intents_one_under_way on intents (workload_id)
  where state in ('pending', 'claimed', 'running') and kind in ('deploy', 'capture', 'restore', 'undo', 'delete');
create index intents_to_claim on intents (host_id, created_at) where state = 'pending';
create index intents_by_workload on intents (workload_id, created_at desc);

create table intent_events (
  intent_id uuid not null references intents (id),
  host_id uuid not null references hosts (id),
  seq integer not null check (seq > 0),
  at timestamptz not null,
  type text not null,
  data jsonb not null,
  primary key (intent_id, seq)
);

create table tokens (
  jti uuid primary key,
  kind text not null check (kind in ('automation', 'session')),
  subject text not null,
  scopes text[] not null,
  workloads uuid[],
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz
);

create table one_time_links (
  hash text primary key,
  purpose text not null check (purpose in ('sign-in', 'enrollment')),
  subject text not null,
  host_id uuid references hosts (id),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at timestamptz
);

create table idempotency_keys (
  actor text not null,
  key text not null,
  request_hash text not null,
  status integer not null,
  headers jsonb not null,
  body jsonb not null,
  created_at timestamptz not null default now(),
  primary key (actor, key)
);

create table audit (
  seq bigint primary key,
  at timestamptz not null default now(),
  actor text not null,
  action text not null,
  target text not null,
  outcome text not null check (outcome in ('accepted', 'refused', 'succeeded', 'failed')),
  code text,
  details jsonb not null default '{}',
  request_id text,
  prev_hash text not null,
  hash text not null
);

-- The state machine; db/intent-state.ts holds the same pairs.
create table intent_transitions (
  from_state text not null,
  to_state text not null,
  primary key (from_state, to_state)
);
insert into intent_transitions values
  ('pending', 'claimed'), ('pending', 'cancelled'), ('pending', 'failed'),
  ('claimed', 'running'), ('claimed', 'succeeded'), ('claimed', 'failed'), ('claimed', 'rolled_back'),
  ('claimed', 'cancelled'), ('claimed', 'stuck'),
  ('running', 'succeeded'), ('running', 'failed'), ('running', 'rolled_back'), ('running', 'cancelled'), ('running', 'stuck'),
  ('stuck', 'succeeded'), ('stuck', 'failed'), ('stuck', 'rolled_back'), ('stuck', 'cancelled');

create function check_intent() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    if new.state <> 'pending' then
      raise exception 'an intent begins as pending, not as %', new.state using errcode = 'check_violation';
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
  return new;
end $$ set search_path = pg_catalog;
create trigger check_intent before insert or update on intents for each row execute function check_intent();

-- Wake-up of the host's agent; a poll is the fallback.
create function notify_host() returns trigger language plpgsql as $$
begin
  perform pg_notify('refloat_' || replace(new.host_id::text, '-', ''), new.id::text);
  return null;
end $$ set search_path = pg_catalog;
create trigger notify_host_of_intent after insert on intents for each row execute function notify_host();
create trigger notify_host_of_cancel after update of cancel_requested_at on intents for each row
  when (new.cancel_requested_at is distinct from old.cancel_requested_at) execute function notify_host();

-- The end of the audit chain. A row's lock orders the writers: an advisory lock could be held by any login.
create table audit_head (
  only_row boolean primary key default true check (only_row),
  seq bigint not null,
  hash text not null
);
insert into audit_head (seq, hash) values (0, repeat('0', 64));

-- Audit chain: hash = sha256 of a JSON array of prev_hash, then every column.
create function chain_audit() returns trigger language plpgsql security definer as $$
declare
  head record;
begin
  select h.seq, h.hash into strict head from public.audit_head h for update;
  new.seq := head.seq + 1;
  new.prev_hash := head.hash;
  new.at := clock_timestamp();
  new.hash := public.audit_hash(new);
  update public.audit_head set seq = new.seq, hash = new.hash;
  return new;
end $$ set search_path = pg_catalog;
create function audit_hash(entry audit) returns text language sql stable as $$
  select encode(sha256(convert_to(jsonb_build_array(entry.prev_hash, entry.seq, extract(epoch from entry.at)::text, entry.actor,
    entry.action, entry.target, entry.outcome, entry.code, entry.details, entry.request_id)::text, 'UTF8')), 'hex')
$$ set search_path = pg_catalog;
create trigger chain_audit before insert on audit for each row execute function chain_audit();
-- The first row of the chain that does not fit, or null.
create function audit_first_broken() returns bigint language sql stable as $$
  select min(seq) from (
    select seq from (
      select a, lag(hash, 1, repeat('0', 64)) over (order by seq) as before, lag(seq, 1, 0::bigint) over (order by seq) as before_seq, seq
      from public.audit a) chain
    where (chain.a).prev_hash <> chain.before or chain.seq <> chain.before_seq + 1 or (chain.a).hash <> public.audit_hash(chain.a)
    union all
    select h.seq + 1 from public.audit_head h where h.seq <> (select coalesce(max(a.seq), 0) from public.audit a)
  ) broken
$$ set search_path = pg_catalog;

-- How an intent ended is audited whoever ends it; an agent cannot write audit rows otherwise.
create function audit_outcome() returns trigger language plpgsql security definer as $$
begin
  insert into public.audit (actor, action, target, outcome, code, details)
  values (
    coalesce((select 'host:' || h.name from public.hosts h where h.pg_role = session_user), 'database:' || session_user),
    'intent.' || new.state, 'intent:' || new.id,
    case new.state when 'succeeded' then 'succeeded' else 'failed' end, new.error ->> 'code',
    jsonb_build_object('kind', new.kind, 'workloadId', new.workload_id, 'leaseEpoch', new.lease_epoch, 'from', old.state));
  return null;
end $$ set search_path = pg_catalog;
create trigger audit_outcome after update of state on intents for each row
  when (old.state <> 'pending' and new.state <> old.state
    and new.state in ('succeeded', 'failed', 'rolled_back', 'cancelled', 'stuck'))
  execute function audit_outcome();

create function keep_audit() returns trigger language plpgsql as $$
begin
  raise exception 'audit rows are never changed' using errcode = 'insufficient_privilege';
end $$ set search_path = pg_catalog;
create trigger keep_audit before update or delete or truncate on audit for each statement execute function keep_audit();

-- Hosts. Every agent logs in with a role of its own, which is a member of refloat_agent.
do $$ begin
  create role refloat_agent nologin;
exception when duplicate_object or unique_violation then null;
end $$;

create function refloat_host_id() returns uuid language sql stable security definer as $$
  select id from public.hosts where pg_role = session_user and revoked_at is null
$$ set search_path = pg_catalog;

do $$
declare
  name text;
begin
  foreach name in array array['hosts', 'workloads', 'containers', 'snapshots', 'snapshot_volumes', 'intents', 'intent_events',
    'tokens', 'one_time_links', 'idempotency_keys', 'audit', 'audit_head', 'intent_transitions'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy control_plane on %I to %I using (true) with check (true)', name, current_user);
  end loop;
end $$;

create policy own_host on hosts for select to refloat_agent using (id = refloat_host_id());
create policy own_host_seen on hosts for update to refloat_agent using (id = refloat_host_id()) with check (id = refloat_host_id());
create policy own_workloads on workloads for select to refloat_agent using (host_id = refloat_host_id());
create policy own_containers on containers to refloat_agent using (host_id = refloat_host_id()) with check (host_id = refloat_host_id());
create policy own_snapshots_read on snapshots for select to refloat_agent using (host_id = refloat_host_id());
create policy own_snapshots_add on snapshots for insert to refloat_agent with check (
  host_id = refloat_host_id() and exists (select from workloads w where w.id = workload_id and w.host_id = refloat_host_id()));
create policy own_snapshots_change on snapshots for update to refloat_agent
  using (host_id = refloat_host_id()) with check (host_id = refloat_host_id());
create policy own_snapshot_volumes_read on snapshot_volumes for select to refloat_agent using (host_id = refloat_host_id());
create policy own_snapshot_volumes_add on snapshot_volumes for insert to refloat_agent with check (
  host_id = refloat_host_id() and exists (select from snapshots s where s.id = snapshot_id and s.host_id = refloat_host_id()));
create policy own_intents on intents for select to refloat_agent using (host_id = refloat_host_id());
create policy own_intents_change on intents for update to refloat_agent
  using (host_id = refloat_host_id()) with check (host_id = refloat_host_id());
create policy own_events_read on intent_events for select to refloat_agent using (host_id = refloat_host_id());
create policy own_events_add on intent_events for insert to refloat_agent with check (
  host_id = refloat_host_id() and exists (select from intents i where i.id = intent_id and i.host_id = refloat_host_id()));
create policy read_transitions on intent_transitions for select to refloat_agent using (true);

-- Postgres 14 lets every login create tables here. Where this login may not change that, nothing here depends on it: every
-- function has its own search path.
do $$ begin
  revoke create on schema public from public;
exception when insufficient_privilege then null;
end $$;
-- Removes this host's containers from the inventory, except those named.
create function forget_containers(keep text[]) returns integer language plpgsql security definer as $$
declare
  removed integer;
begin
  delete from public.containers where host_id = public.refloat_host_id() and container_id <> all (keep);
  get diagnostics removed = row_count;
  return removed;
end $$ set search_path = pg_catalog;

revoke execute on function forget_containers(text[]), audit_first_broken(), audit_hash(audit) from public;
do $$ begin
  grant usage on schema public to refloat_agent;
exception when insufficient_privilege then null;
end $$;
grant execute on function refloat_host_id() to refloat_agent;
grant select on hosts, workloads, containers, snapshots, snapshot_volumes, intents, intent_events, intent_transitions to refloat_agent;
grant update (agent_instance, agent_boot_id, agent_version, engine_version, agent_seen_at) on hosts to refloat_agent;
-- No right to delete, and updates by column only: a right to delete or update a whole table is also one to lock it, and so to
-- stop everybody else.
grant insert on containers to refloat_agent;
grant update (workload_id, name, image, image_id, state, health, restart_policy, started_at, reported_at) on containers to refloat_agent;
grant execute on function forget_containers(text[]) to refloat_agent;
grant insert on snapshots, snapshot_volumes, intent_events to refloat_agent;
grant update (state, deleted_at, protected_until) on snapshots to refloat_agent;
grant update (state, committed_at, claimed_at, finished_at, lease_epoch, lease_until, attempts, step, progress, result, error)
  on intents to refloat_agent;
`;
