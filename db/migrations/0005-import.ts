/** Imports: an intent of its own kind, and where an imported snapshot came from. Every import is audited, from whatever side it came. */
export const sql = /* sql */ `
alter table intents drop constraint intents_kind_check;
alter table intents add constraint intents_kind_check
  check (kind in ('deploy', 'capture', 'plan', 'restore', 'undo', 'verify', 'delete', 'import'));

alter table snapshots add column origin jsonb
  check (origin is null or (jsonb_typeof(origin) = 'object' and octet_length(origin::text) <= 1048576));

-- An import at a host's own command line has no intent. Nothing else may come without one: it is of a workload of this host, belongs to
-- no intent, and says that it was made locally.
create policy own_imports_add on snapshots for insert to refloat_agent with check (
  kind = 'imported' and host_id = refloat_host_id() and origin ->> 'importedBy' like 'local:%'
  and exists (select from workloads w where w.id = workload_id and w.host_id = refloat_host_id())
  and not exists (select from intents i where i.id = intent_id));

-- Where every import is audited, with who decided and by which policy, whatever side it came from.
create function audit_import() returns trigger language plpgsql security definer as $$
begin
  insert into public.audit (actor, action, target, outcome, details)
  values (
    coalesce((select 'host:' || h.name from public.hosts h where h.pg_role = session_user), 'database:' || session_user),
    'snapshot.imported', 'snapshot:' || new.id, 'succeeded',
    jsonb_build_object('workloadId', new.workload_id, 'policy', left(new.origin ->> 'policy', 20),
      'importedBy', left(new.origin ->> 'importedBy', 200), 'files', jsonb_array_length(coalesce(new.origin -> 'archives', '[]'))));
  return null;
end $$ set search_path = pg_catalog;
create trigger audit_import after insert on snapshots for each row when (new.kind = 'imported') execute function audit_import();
`;
