/** What a stolen agent credential can do: with the real login of a host, on a database with two. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Connection, connect, type Sql } from '../../db/client.ts';
import { newId } from '../../db/ids.ts';
import { endSessionsOfHost } from '../../db/queries/end-sessions-of-host.ts';
import { enrollHost } from '../../db/queries/enroll-host.ts';
import { insertAudit } from '../../db/queries/insert-audit.ts';
import { revokeHost } from '../../db/queries/revoke-host.ts';
import { intents } from '../../db/schema/index.ts';
import { randomSecret, scramVerifier } from '../../functions/auth/secrets.ts';
import { addEvents, addHost, addSnapshot, addWorkload, type ControlPlane } from '../helpers/control-plane.ts';
import { type TestDatabase, testDatabase } from '../helpers/postgres.ts';

interface Side {
  readonly hostId: string;
  readonly workload: { readonly id: string; readonly hostId: string };
  readonly snapshotId: string;
  readonly intentId: string;
}

let database: TestDatabase;
let own: Side;
let other: Side;
let stolen: Connection;
let sql: Sql;

before(async () => {
  database = await testDatabase();
  own = await side();
  other = await side();
  const password = randomSecret();
  const role = await enrollHost(database.db, own.hostId, await scramVerifier(password));
  await enrollHost(database.db, other.hostId, await scramVerifier(randomSecret()));
  await insertAudit(database.db, { actor: 'x', action: 'x', target: 'x', outcome: 'accepted' });
  await database.sql`insert into tokens (jti, kind, subject, scopes, created_by, expires_at) values (${newId()}, 'automation', 's', '{}', 'x', now())`;
  stolen = connect(database.urlAs(role, password), { max: 2 });
  sql = stolen.sql;
});
after(async () => {
  await stolen.close();
});

async function side(): Promise<Side> {
  const plane: ControlPlane = { origin: '', database, env: {}, close: () => Promise.resolve() };
  const hostId = await addHost(plane);
  const workload = await addWorkload(plane, hostId);
  const snapshotId = await addSnapshot(plane, workload);
  const intentId = newId();
  await database.db
    .insert(intents)
    .values({ id: intentId, kind: 'restore', workloadId: workload.id, hostId, snapshotId, requestedBy: 'test' });
  await addEvents(plane, intentId, hostId, 1, 2);
  await database.sql`insert into containers (host_id, container_id, workload_id, name, image, image_id, state, restart_policy)
    values (${hostId}, 'c', ${workload.id}, 'c', 'i', 'i', 'running', 'no')`;
  return { hostId, workload, snapshotId, intentId };
}

/** Refused by a missing right, or by row-level security. */
const DENIED = { code: '42501' };

test('the password that enrollment made is the only one that works', async () => {
  assert.equal((await sql`select refloat_host_id() as id`)[0]?.['id'], own.hostId);
  const wrong = connect(database.urlAs(`refloat_host_${own.hostId.replaceAll('-', '')}`, 'guess'), { max: 1 });
  await assert.rejects(async () => wrong.sql`select 1`, { code: '28P01' });
  await wrong.close();
});

for (const table of ['hosts', 'workloads', 'containers', 'snapshots', 'snapshot_volumes', 'intents', 'intent_events']) {
  test(`of ${table} only the own host's rows can be seen`, async () => {
    const column = table === 'hosts' ? 'id' : 'host_id';
    const rows = await sql.unsafe(`select ${column} as host from ${table}`);
    assert.ok(rows.length > 0);
    for (const row of rows) assert.equal(row['host'], own.hostId);
  });
}

for (const table of ['tokens', 'one_time_links', 'idempotency_keys', 'audit', 'audit_head', 'schema_migrations']) {
  test(`${table} can neither be read nor written`, async () => {
    await assert.rejects(sql.unsafe(`select * from ${table}`), DENIED);
    await assert.rejects(sql.unsafe(`delete from ${table}`), DENIED);
    await assert.rejects(sql.unsafe(`insert into ${table} default values`), DENIED);
  });
}

test('intents can be neither made, removed, nor changed in what they ask for', async () => {
  await assert.rejects(
    async () =>
      sql`insert into intents (id, kind, workload_id, host_id, requested_by) values (${newId()}, 'plan', ${own.workload.id}, ${own.hostId}, 'me')`,
    DENIED,
  );
  await assert.rejects(async () => sql`delete from intents`, DENIED);
  for (const change of [
    "kind = 'delete'",
    `workload_id = '${other.workload.id}'`,
    `snapshot_id = '${other.snapshotId}'`,
    `host_id = '${other.hostId}'`,
    "requested_by = 'x'",
    "params = '{}'",
    'cancel_requested_at = null',
    'not_after = null',
    'created_at = now()',
  ]) {
    await assert.rejects(sql.unsafe(`update intents set ${change} where id = '${own.intentId}'`), DENIED, change);
  }
});

test("another host's rows cannot be changed, not even seen by a change", async () => {
  const none = async (statement: string) => assert.equal((await sql.unsafe(statement)).count, 0, statement);
  await none(`update intents set state = 'claimed' where id = '${other.intentId}'`);
  await none(`update snapshots set state = 'deleted' where id = '${other.snapshotId}'`);
  await none(`update hosts set agent_seen_at = now() where id = '${other.hostId}'`);
  await none(`update containers set state = 'x' where host_id = '${other.hostId}'`);
  await none(`select from intents where id = '${other.intentId}' for update`);
});

test('nothing can be slipped under another host', async () => {
  const sha = 'a'.repeat(64);
  await assert.rejects(
    async () => sql`insert into snapshots (id, workload_id, host_id, intent_id, kind, manifest_sha256, image, image_id, captured_at)
      values (${newId()}, ${other.workload.id}, ${own.hostId}, ${own.intentId}, 'capture', ${sha}, 'i', 'i', now())`,
    DENIED,
    "a snapshot of another host's workload",
  );
  await assert.rejects(
    async () => sql`insert into snapshots (id, workload_id, host_id, intent_id, kind, manifest_sha256, image, image_id, captured_at)
      values (${newId()}, ${own.workload.id}, ${other.hostId}, ${own.intentId}, 'capture', ${sha}, 'i', 'i', now())`,
    DENIED,
  );
  await assert.rejects(
    async () => sql`insert into snapshot_volumes (snapshot_id, host_id, name, scope, archive_sha256, archive_bytes, content_bytes, entries)
      values (${other.snapshotId}, ${own.hostId}, 'evil', 'project', ${sha}, 1, 1, 1)`,
    DENIED,
  );
  await assert.rejects(
    async () =>
      sql`insert into intent_events (intent_id, host_id, seq, at, type, data) values (${other.intentId}, ${own.hostId}, 9, now(), 'step', '{}')`,
    DENIED,
  );
  await assert.rejects(async () => sql`update containers set host_id = ${other.hostId}`, DENIED);
});

test('what is stored of a snapshot cannot be changed: its digest decides what is restored', async () => {
  await assert.rejects(async () => sql`update snapshots set manifest_sha256 = ${'d'.repeat(64)}`, DENIED);
  await assert.rejects(async () => sql`update snapshots set workload_id = ${other.workload.id}`, DENIED);
  await assert.rejects(async () => sql`update snapshot_volumes set archive_sha256 = ${'d'.repeat(64)}`, DENIED);
  await assert.rejects(async () => sql`delete from snapshots`, DENIED);
  await assert.rejects(async () => sql`update intent_events set data = '{}'`, DENIED);
  await assert.rejects(async () => sql`update workloads set config = '{}'`, DENIED);
  await assert.rejects(async () => sql`update hosts set pg_role = 'x'`, DENIED);
  await assert.rejects(async () => sql`update hosts set revoked_at = null`, DENIED);
});

test('no way around: roles, functions, objects, settings', async () => {
  const { sql: owner } = database;
  const [me] = await owner<
    { rolsuper: boolean; rolcreaterole: boolean; rolbypassrls: boolean; rolcreatedb: boolean }[]
  >`
    select rolsuper, rolcreaterole, rolbypassrls, rolcreatedb from pg_roles where rolname = ${`refloat_host_${own.hostId.replaceAll('-', '')}`}`;
  assert.deepEqual({ ...me }, { rolsuper: false, rolcreaterole: false, rolbypassrls: false, rolcreatedb: false });
  for (const statement of [
    'create table public.mine ()',
    'create function public.f() returns int language sql as $$ select 1 $$',
    'create role mine',
    `set role refloat_host_${other.hostId.replaceAll('-', '')}`,
    `set session authorization refloat_host_${other.hostId.replaceAll('-', '')}`,
    'alter table intents disable row level security',
    'drop trigger check_intent on intents',
    'set session_replication_role = replica',
    'select audit_first_broken()',
    "select pg_read_file('/etc/passwd')",
    "copy intents to program 'cat'",
    `alter role refloat_host_${own.hostId.replaceAll('-', '')} superuser`,
  ]) {
    await assert.rejects(sql.unsafe(statement), DENIED, statement);
  }
  await sql.unsafe('set row_security = off');
  await assert.rejects(async () => sql`select * from intents`, DENIED);
  await sql.unsafe('set row_security = on');
  // Own objects in a path before public must not be picked up by the functions that run with more rights.
  await sql.begin(async (transaction) => {
    await transaction.unsafe('create temporary table hosts (id uuid, pg_role text, revoked_at timestamptz)');
    await transaction`insert into pg_temp.hosts values (${other.hostId}, session_user, null)`;
    await transaction.unsafe('set local search_path = pg_temp, public');
    assert.equal((await transaction`select refloat_host_id() as id`)[0]?.['id'], own.hostId);
    const rows = await transaction`select host_id from public.intents`;
    for (const row of rows) assert.equal(row['host_id'], own.hostId);
  });
});

test('a host that holds every lock it can get does not stop the audit of the others', async () => {
  const holder = await sql.reserve();
  try {
    await holder`select pg_advisory_lock(7236428101)`;
    await database.sql.begin(async (transaction) => {
      await transaction.unsafe("set local lock_timeout = '2s'");
      await transaction`insert into audit (actor, action, target, outcome) values ('y', 'y', 'y', 'accepted')`;
    });
  } finally {
    await holder`select pg_advisory_unlock_all()`;
    holder.release();
  }
});

test('no table can be locked against its readers', async () => {
  const tables = await database.sql<
    { name: string }[]
  >`select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`;
  assert.ok(tables.length >= 14);
  for (const { name } of tables) {
    for (const mode of ['access exclusive', 'exclusive', 'share row exclusive', 'share']) {
      await assert.rejects(
        sql.begin((transaction) => transaction.unsafe(`lock table public.${name} in ${mode} mode nowait`)),
        DENIED,
        `${name} ${mode}`,
      );
    }
  }
});

test('of the inventory only the own containers can be forgotten', async () => {
  const count = async (hostId: string) => (await database.sql`select from containers where host_id = ${hostId}`).length;
  assert.deepEqual([await count(own.hostId), await count(other.hostId)], [1, 1]);
  await sql`select forget_containers('{}')`;
  assert.deepEqual([await count(own.hostId), await count(other.hostId)], [0, 1]);
  await assert.rejects(async () => sql`delete from containers`, DENIED);
});

test('the chain of the audit shows a changed, a removed and a cut-off row, even to somebody who gets around its triggers', async () => {
  const broken = async (change: string): Promise<unknown> => {
    const { sql: owner } = await freshAudit();
    await owner.unsafe(`alter table audit disable trigger keep_audit; ${change}`);
    return Number((await owner`select audit_first_broken() as seq`)[0]?.['seq']);
  };
  assert.equal(await broken("update audit set actor = 'nobody' where seq = 3"), 3);
  assert.equal(await broken('delete from audit where seq = 4'), 5);
  assert.equal(await broken('delete from audit where seq >= 5'), 6);
  assert.equal(await broken('select 1'), 0, 'null while it is whole');
  const { sql: owner } = await freshAudit();
  for (const change of ["update audit set actor = 'x'", 'delete from audit', 'truncate audit'])
    await assert.rejects(owner.unsafe(change), DENIED);
});

async function freshAudit(): Promise<TestDatabase> {
  const fresh = await testDatabase();
  for (let row = 0; row < 5; row++)
    await insertAudit(fresh.db, { actor: `a${row}`, action: 'x', target: 'x', outcome: 'accepted' });
  return fresh;
}

test('twenty writers at the same moment leave one chain', async () => {
  const fresh = await testDatabase();
  await Promise.all(
    Array.from({ length: 20 }, (_, row) =>
      insertAudit(fresh.db, { actor: `a${row}`, action: 'x', target: 'x', outcome: 'accepted' }),
    ),
  );
  const [chain] =
    await fresh.sql`select audit_first_broken() as broken, (select count(*)::int from audit) as rows, (select max(seq)::int from audit) as last`;
  assert.deepEqual({ ...chain }, { broken: null, rows: 20, last: 20 });
});

test('a new enrollment ends the old password and its sessions; a revoked host cannot log in', async () => {
  const plane: ControlPlane = { origin: '', database, env: {}, close: () => Promise.resolve() };
  const hostId = await addHost(plane);
  const [first, second] = [randomSecret(), randomSecret()];
  const role = await enrollHost(database.db, hostId, await scramVerifier(first));
  const old = connect(database.urlAs(role, first), { max: 1 });
  await old.sql`select 1`;
  await enrollHost(database.db, hostId, await scramVerifier(second));
  await endSessionsOfHost(database.db, role);
  await assert.rejects(async () => old.sql`select 1`);
  await old.close();
  const late = connect(database.urlAs(role, first), { max: 1 });
  await assert.rejects(async () => late.sql`select 1`, { code: '28P01' });
  await late.close();
  await revokeHost(database.db, hostId);
  const revoked = connect(database.urlAs(role, second), { max: 1 });
  await assert.rejects(async () => revoked.sql`select 1`, { code: '28000' });
  await revoked.close();
});

test('a host whose row is revoked sees nothing through a session that it still has', async () => {
  await database.sql`update hosts set revoked_at = now() where id = ${own.hostId}`;
  assert.equal((await sql`select * from intents`).length, 0);
  await database.sql`update hosts set revoked_at = null where id = ${own.hostId}`;
});
