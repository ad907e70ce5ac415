/** People, their passkeys, sessions and identities at an OIDC issuer, and what a sign-in under way must remember. Hosts see none of it. */
export const sql = /* sql */ `
create table people (
  id uuid primary key,
  name text not null check (name ~ '^[^[:cntrl:]]{1,100}$'),
  role text not null check (role in ('viewer', 'operator', 'admin')),
  projects text[] check (cardinality(projects) between 1 and 100),
  managed_by text not null default 'admin' check (managed_by in ('admin', 'oidc')),
  created_by text not null,
  created_at timestamptz not null default now(),
  disabled_at timestamptz
);
create unique index people_by_name on people (lower(name));

create table passkeys (
  id text primary key,
  person_id uuid not null references people (id),
  name text not null,
  public_key text not null,
  counter bigint not null,
  transports text[] not null,
  backed_up boolean not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz
);
create index passkeys_by_person on passkeys (person_id);

create table oidc_identities (
  issuer text not null,
  subject text not null,
  person_id uuid not null references people (id),
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  primary key (issuer, subject)
);

create table sessions (
  id uuid primary key,
  person_id uuid not null references people (id),
  jti uuid not null,
  previous_jti uuid,
  rotated_at timestamptz not null default now(),
  confirmed_at timestamptz,
  proof_kind text not null check (proof_kind in ('link', 'passkey', 'oidc')),
  proof_at timestamptz,
  user_agent text not null,
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz
);
create index sessions_by_person on sessions (person_id);

create table challenges (
  hash text primary key,
  purpose text not null check (purpose in ('passkey-sign-in', 'passkey-proof', 'passkey-register', 'oidc-sign-in', 'oidc-proof')),
  session_id uuid references sessions (id),
  facts jsonb not null default '{}',
  expires_at timestamptz not null
);
create index challenges_by_expiry on challenges (expires_at);

-- A sign-in link is a person's. What was signed in before there were people has to sign in again.
delete from one_time_links where purpose = 'sign-in';
alter table one_time_links add column person_id uuid references people (id);
alter table one_time_links add constraint one_time_links_person check ((purpose = 'sign-in') = (person_id is not null));
delete from tokens where kind = 'session';

do $$
declare
  name text;
begin
  foreach name in array array['people', 'passkeys', 'oidc_identities', 'sessions', 'challenges'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy control_plane on %I to %I using (true) with check (true)', name, current_user);
  end loop;
end $$;
`;
