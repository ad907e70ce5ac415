/**
 * What the catalogue of a database must say for hosts to be confined, as a list of problems.
 *
 * Everything that is there must be expected: a table, policy, right or function that nobody wrote down here is a problem.
 */
import type { Sql } from '../../db/client.ts';

/** Every right of refloat_agent, and so of every host's login; `(columns)` where it is not on the whole table. */
const AGENT_RIGHTS: Readonly<Record<string, readonly string[]>> = {
  hosts: ['SELECT', 'UPDATE(agent_boot_id,agent_instance,agent_seen_at,agent_version,engine_version)'],
  workloads: ['SELECT'],
  containers: [
    'INSERT',
    'SELECT',
    'UPDATE(configuration,health,image,image_id,name,reported_at,restart_policy,started_at,state,workload_id)',
  ],
  snapshots: ['INSERT', 'SELECT', 'UPDATE(deleted_at,state)'],
  snapshot_volumes: ['INSERT', 'SELECT'],
  intents: [
    'SELECT',
    'UPDATE(attempts,claimed_at,committed_at,error,finished_at,lease_epoch,lease_until,progress,result,state,step)',
  ],
  intent_events: ['INSERT', 'SELECT'],
  intent_transitions: ['SELECT'],
};

/** Functions that run with their owner's rights, and functions that a host may call. */
const DEFINERS = [
  'audit_import()',
  'audit_host()',
  'audit_import()',
  'audit_intent()',
  'audit_snapshot()',
  'chain_audit()',
  'forget_containers(text[])',
  'refloat_host_id()',
];
const CALLABLE_BY_HOSTS = ['forget_containers(text[])', 'refloat_host_id()'];

export async function catalogueProblems(sql: Sql): Promise<string[]> {
  return [
    ...(await tableProblems(sql)),
    ...(await rightProblems(sql)),
    ...(await functionProblems(sql)),
    ...(await schemaProblems(sql)),
    ...(await roleProblems(sql)),
  ].sort();
}

async function tableProblems(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string; kind: string; enabled: boolean; forced: boolean; policies: string[] }[]>`
    select c.relname as name, c.relkind::text as kind, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
      coalesce((select array_agg(p.polname::text) from pg_policy p where p.polrelid = c.oid), '{}') as policies
    from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind not in ('i', 'I', 't', 'c')`;
  const loose = await sql<{ name: string; policy: string }[]>`
    select p.polrelid::regclass::text as name, p.polname as policy from pg_policy p
    where exists (
      select from unnest(p.polroles) r (oid) left join pg_roles known on known.oid = r.oid
      where known.rolname is distinct from 'refloat_agent' and known.rolname is distinct from current_user)`;
  const permissive = await sql<{ name: string; policy: string }[]>`
    select p.polrelid::regclass::text as name, p.polname as policy from pg_policy p join pg_roles r on r.oid = any (p.polroles)
    where r.rolname = 'refloat_agent' and p.polrelid <> 'intent_transitions'::regclass
      and position('refloat_host_id()' in coalesce(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid), '')) = 0`;
  return [
    // A view reads with the rights of its owner, past every policy.
    ...rows.filter(({ kind }) => kind !== 'r').map(({ name, kind }) => `${name} is not a table (${kind})`),
    ...rows.filter(({ kind, enabled }) => kind === 'r' && !enabled).map(({ name }) => `${name} has no row security`),
    ...rows.filter(({ kind, forced }) => kind === 'r' && !forced).map(({ name }) => `${name} does not force it`),
    ...rows
      .filter(({ kind, policies }) => kind === 'r' && policies.length === 0)
      .map(({ name }) => `${name} has no policy`),
    ...loose.map(({ name, policy }) => `policy ${policy} of ${name} is for others than owner and hosts`),
    ...permissive.map(({ name, policy }) => `policy ${policy} of ${name} is not keyed on the host`),
  ];
}

async function rightProblems(sql: Sql): Promise<string[]> {
  const rows = await sql<
    { table: string; grantee: string; privilege: string; columns: string[] | null; passed: boolean }[]
  >`
    with rights as (
      select c.relname, null::name as column, acl.* from pg_class c, aclexplode(c.relacl) acl
      where c.relnamespace = 'public'::regnamespace and acl.grantee <> c.relowner
      union all
      select c.relname, a.attname, acl.* from pg_attribute a join pg_class c on c.oid = a.attrelid, aclexplode(a.attacl) acl
      where c.relnamespace = 'public'::regnamespace and acl.grantee <> c.relowner
    )
    select relname as table, coalesce(r.rolname, 'PUBLIC') as grantee, privilege_type as privilege,
      array_agg("column"::text order by "column"::text collate "C") filter (where "column" is not null) as columns,
      bool_or(is_grantable) as passed
    from rights left join pg_roles r on r.oid = rights.grantee
    group by relname, r.rolname, privilege_type, "column" is null`;
  const found = new Map<string, Set<string>>();
  const problems: string[] = [];
  for (const { table, grantee, privilege, columns, passed } of rows) {
    const right = columns === null ? privilege : `${privilege}(${columns.join(',')})`;
    if (grantee !== 'refloat_agent') problems.push(`${grantee} has ${right} on ${table}`);
    else if (passed) problems.push(`hosts may pass on ${right} on ${table}`);
    else found.set(table, (found.get(table) ?? new Set()).add(right));
  }
  for (const table of new Set([...found.keys(), ...Object.keys(AGENT_RIGHTS)])) {
    const is = found.get(table) ?? new Set<string>();
    const should = new Set(AGENT_RIGHTS[table] ?? []);
    problems.push(...[...is].filter((right) => !should.has(right)).map((right) => `hosts have ${right} on ${table}`));
    problems.push(...[...should].filter((right) => !is.has(right)).map((right) => `hosts lack ${right} on ${table}`));
  }
  return problems;
}

async function functionProblems(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string; definer: boolean; path: string | null; returns: string; hosts: boolean }[]>`
    select replace(p.oid::regprocedure::text, 'public.', '') as name, p.prosecdef as definer, p.prorettype::regtype::text as returns,
      (select setting from unnest(p.proconfig) setting where setting like 'search_path=%') as path,
      has_function_privilege('refloat_agent', p.oid, 'execute') as hosts
    from pg_proc p where p.pronamespace = 'public'::regnamespace`;
  return rows.flatMap(({ name, definer, path, returns, hosts }) => [
    ...(path === 'search_path=pg_catalog' ? [] : [`function ${name} has no fixed search path`]),
    ...(definer && !DEFINERS.includes(name) ? [`function ${name} runs with its owner's rights`] : []),
    // A trigger function cannot be called.
    ...(hosts && returns !== 'trigger' && !CALLABLE_BY_HOSTS.includes(name) ? [`hosts may call ${name}`] : []),
  ]);
}

async function schemaProblems(sql: Sql): Promise<string[]> {
  const rows = await sql<{ problem: string }[]>`
    select format('hosts may create in schema %s', nspname) as problem from pg_namespace
      where nspname !~ '^pg_(toast_)?temp_' and has_schema_privilege('refloat_agent', oid, 'create')
    union all select format('there is a schema %s', nspname) from pg_namespace where nspname not in ('public', 'information_schema') and nspname !~ '^pg_'
    union all select format('rights are given in advance to objects of type %s', defaclobjtype) from pg_default_acl
    union all select format('there is an extension %s', extname) from pg_extension where extname <> 'plpgsql'
    union all select format('there is an event trigger %s', evtname) from pg_event_trigger
    union all select format('hosts may create schemas') where has_database_privilege('refloat_agent', current_database(), 'create')`;
  return rows.map(({ problem }) => problem);
}

/** The group of the hosts, and every host of this database. */
async function roleProblems(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string; powerful: boolean; login: boolean; member_of: string[] }[]>`
    select r.rolname as name, r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls as powerful,
      r.rolcanlogin as login,
      coalesce((select array_agg(g.rolname::text) from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = r.oid), '{}') as member_of
    from pg_roles r where r.rolname = 'refloat_agent' or r.rolname in (select pg_role from hosts)`;
  return rows.flatMap(({ name, powerful, login, member_of }) => [
    ...(powerful ? [`role ${name} has an attribute of power`] : []),
    ...(name === 'refloat_agent' && login ? ['refloat_agent may log in'] : []),
    ...member_of
      .filter((group) => name === 'refloat_agent' || group !== 'refloat_agent')
      .map((group) => `role ${name} is a member of ${group}`),
  ]);
}
