/**
 * Brings a database to the current schema.
 *
 * Guarantees: each migration runs once, in a transaction, however many processes migrate at the same moment; a migration that
 * was applied and has changed since is refused (`MIGRATION_CHANGED`) before anything runs.
 * Does not need session locks, so a transaction pooler is fine.
 */
import { connect, type Sql } from './client.ts';
import { RefloatError } from './errors.ts';
import { sql as initial } from './migrations/0001-initial.ts';
import { sql as people } from './migrations/0002-people.ts';
import { sql as hostsAndIssuers } from './migrations/0003-hosts-and-issuers.ts';
import { sql as api } from './migrations/0004-api.ts';
import { sql as imports } from './migrations/0005-import.ts';
import { sql as adopt } from './migrations/0006-adopt.ts';
import { sql as policiesOnce } from './migrations/0007-policies-once.ts';
import { sql as heldIntents } from './migrations/0008-held-intents.ts';

export interface Migration {
  readonly name: string;
  readonly sql: string;
}

/** In order. Applied ones never change; a correction is a new one. */
export const MIGRATIONS: readonly Migration[] = [
  { name: '0001-initial', sql: initial },
  { name: '0002-people', sql: people },
  { name: '0003-hosts-and-issuers', sql: hostsAndIssuers },
  { name: '0004-api', sql: api },
  { name: '0005-import', sql: imports },
  { name: '0006-adopt', sql: adopt },
  { name: '0007-policies-once', sql: policiesOnce },
  { name: '0008-held-intents', sql: heldIntents },
];

/** Key of the advisory lock, the same in every process. */
const LOCK = 7236428100;

/** Applies what is missing and returns the names of what it applied. `url` needs the right to create tables and roles. */
export async function migrate(url: string, migrations: readonly Migration[] = MIGRATIONS): Promise<string[]> {
  const { sql, close } = connect(url, { max: 1, applicationName: 'refloat-migrate' });
  try {
    const applied: string[] = [];
    for (const migration of migrations) {
      if (await applyOne(sql, migration, migrations)) applied.push(migration.name);
    }
    return applied;
  } finally {
    await close();
  }
}

/** Names of migrations that this program has and the database lacks; all of them when it is empty. */
export async function missingMigrations(sql: Sql, migrations: readonly Migration[] = MIGRATIONS): Promise<string[]> {
  const [table] = await sql`select to_regclass('public.schema_migrations') is not null as there`;
  if (table?.['there'] !== true) return migrations.map((migration) => migration.name);
  const rows = await sql<{ name: string }[]>`select name from public.schema_migrations`;
  const names = new Set(rows.map((row) => row.name));
  return migrations.map((migration) => migration.name).filter((name) => !names.has(name));
}

async function applyOne(sql: Sql, migration: Migration, all: readonly Migration[]): Promise<boolean> {
  return sql.begin(async (transaction) => {
    await transaction`select pg_advisory_xact_lock(${LOCK})`;
    await transaction`create table if not exists public.schema_migrations (
      name text primary key, sha256 text not null, applied_at timestamptz not null default now())`;
    const rows = await transaction<
      { name: string; sha256: string }[]
    >`select name, sha256 from public.schema_migrations`;
    for (const row of rows) await refuseChanged(row, all);
    if (rows.some((row) => row.name === migration.name)) return false;
    await transaction.unsafe(migration.sql);
    await transaction`insert into public.schema_migrations (name, sha256) values (${migration.name}, ${await sha256(migration.sql)})`;
    return true;
  });
}

async function refuseChanged(row: { name: string; sha256: string }, all: readonly Migration[]): Promise<void> {
  const known = all.find((migration) => migration.name === row.name);
  if (known !== undefined && (await sha256(known.sql)) === row.sha256) return;
  throw new RefloatError(
    'MIGRATION_CHANGED',
    known === undefined
      ? `the database has migration ${row.name}, which this program does not know`
      : `migration ${row.name} was applied in another form than this program has`,
    {
      hint: 'Run the version of Refloat that migrated this database, or a newer one. Never edit an applied migration.',
    },
  );
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
