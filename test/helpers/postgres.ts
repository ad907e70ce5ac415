/**
 * Real databases for tests: one server per test run, or per process, and one freshly cloned database per call.
 *
 * Guarantees: works from parallel test processes; a database made here, and the roles of hosts enrolled in it, are gone when
 * the test file ends.
 */
import { createHash, randomBytes } from 'node:crypto';
import { after } from 'node:test';
import { type Connection, connect } from '../../db/client.ts';
import { MIGRATIONS, migrate } from '../../db/migrate.ts';
import { startTestServer } from './postgres-server.ts';

export interface TestDatabase extends Connection {
  /** Connection URL of the owner (superuser), with password. */
  readonly url: string;
  /** The same database as another login. */
  urlAs(user: string, password: string): string;
  /** Dropped now, instead of at the end of the file. */
  drop(): Promise<void>;
}

let shared: Promise<string> | undefined;
const undropped = new Set<TestDatabase>();
let stopServer = async (): Promise<void> => undefined;
after(async () => {
  for (const database of undropped) await database.drop();
  await stopServer();
});

/** URL of the server that this process uses. Started on first use, stopped when the test file ends. */
function testServerUrl(): Promise<string> {
  shared ??= (async () => {
    const given = process.env['REFLOAT_TEST_DATABASE_URL'];
    if (given !== undefined && given !== '') return given;
    const server = await startTestServer();
    stopServer = server.stop;
    return server.url;
  })();
  return shared;
}

/** A migrated database of its own; `empty` leaves the migrations out. */
export async function testDatabase(options: { empty?: boolean } = {}): Promise<TestDatabase> {
  const serverUrl = await testServerUrl();
  const name = `refloat_test_${process.pid}_${randomBytes(5).toString('hex')}`;
  const admin = connect(withDatabase(serverUrl, 'postgres'), { max: 1 });
  try {
    if (options.empty === true) await admin.sql.unsafe(`create database ${name}`);
    else await cloneTemplate(serverUrl, admin, name);
  } finally {
    await admin.close();
  }
  const url = withDatabase(serverUrl, name);
  const connection = connect(url, { max: 5, applicationName: 'refloat-test' });
  let dropped = false;
  const database: TestDatabase = {
    ...connection,
    url,
    urlAs: (user, password) => {
      const other = new URL(url);
      other.username = user;
      other.password = password;
      return other.href;
    },
    drop: async () => {
      if (dropped) return;
      dropped = true;
      undropped.delete(database);
      await dropDatabase(serverUrl, name, connection);
    },
  };
  undropped.add(database);
  return database;
}

async function cloneTemplate(serverUrl: string, admin: Connection, name: string): Promise<void> {
  const digest = createHash('sha256').update(JSON.stringify(MIGRATIONS)).digest('hex').slice(0, 16);
  const template = `refloat_template_${digest}`;
  // A session lock, on this one connection: whoever comes second waits until the template is complete.
  await admin.sql`select pg_advisory_lock(hashtext(${template}))`;
  try {
    const there = await admin.sql`select from pg_database where datname = ${template}`;
    if (there.length === 0) {
      const building = `${template}_${process.pid}_${randomBytes(3).toString('hex')}`;
      await admin.sql.unsafe(`create database ${building}`);
      await migrate(withDatabase(serverUrl, building));
      await admin.sql.unsafe(`alter database ${building} rename to ${template}`);
    }
    await admin.sql.unsafe(`create database ${name} template ${template}`);
  } finally {
    await admin.sql`select pg_advisory_unlock(hashtext(${template}))`;
  }
}

async function dropDatabase(serverUrl: string, name: string, connection: Connection): Promise<void> {
  const [hosts] = await connection.sql`select to_regclass('public.hosts') is not null as there`;
  const roles =
    hosts?.['there'] === true
      ? await connection.sql<
          { pg_role: string }[]
        >`select pg_role from hosts where pg_role in (select rolname from pg_roles)`
      : [];
  await connection.close();
  const admin = connect(withDatabase(serverUrl, 'postgres'), { max: 1 });
  try {
    await admin.sql.unsafe(`drop database if exists ${name} with (force)`);
    for (const { pg_role } of roles) await admin.sql`drop role if exists ${admin.sql(pg_role)}`;
  } finally {
    await admin.close();
  }
}

function withDatabase(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = `/${name}`;
  return other.href;
}
