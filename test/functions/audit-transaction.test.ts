/** No audit row, no change: what the API and the agents change goes with its audit row, or not at all. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { newId } from '../../db/ids.ts';
import { finishIntent } from '../../db/queries/finish-intent.ts';
import { audit, intents } from '../../db/schema/index.ts';
import {
  addHost,
  addSnapshot,
  addWorkload,
  call,
  mint,
  move,
  signedIn,
  signInSecret,
  startNodeControlPlane,
} from '../helpers/control-plane.ts';
import { type TestDatabase, testDatabase } from '../helpers/postgres.ts';

/** Everything in every table but the counters of limits, as one text. */
async function everything({ sql }: TestDatabase): Promise<string> {
  const tables = await sql<{ name: string }[]>`
    select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and relname <> 'rate_limits' order by 1`;
  const parts: string[] = [];
  for (const { name } of tables) {
    const [row] = await sql.unsafe<{ rows: string }[]>(
      `select coalesce(jsonb_agg(to_jsonb(t) order by to_jsonb(t)::text), '[]')::text as rows from ${name} t`,
    );
    parts.push(`${name} ${row?.rows}`);
  }
  return parts.join('\n');
}

async function breakAudit({ sql }: TestDatabase): Promise<void> {
  await sql.unsafe(`create function no_audit() returns trigger language plpgsql as $$ begin raise exception 'no room'; end $$;
    create trigger no_audit before insert on audit for each row execute function no_audit()`);
}

test('when the audit cannot be written, no request changes anything', async (t) => {
  const database = await testDatabase();
  const plane = await startNodeControlPlane(database);
  t.after(() => plane.close());
  const token = (await mint(plane)).jwt;
  const victim = await mint(plane);
  const person = await signedIn(plane);
  const hostId = await addHost(plane);
  const workload = await addWorkload(plane, hostId);
  const snapshotId = await addSnapshot(plane, workload);
  const base = `/api/workloads/${workload.id}`;
  const confirm = { 'x-confirm-restore': workload.name };
  const config = { name: workload.name, project: 'p', hostId, image: 'web:2', volumes: [] };
  const running = newId();
  const other = await addWorkload(plane, hostId);
  await database.db
    .insert(intents)
    .values({ id: running, kind: 'restore', workloadId: other.id, hostId, requestedBy: 't' });
  const enrollment = (await call(plane, 'POST', `/api/hosts/${hostId}/enrollment`, { token })).body.token;
  const link = await signInSecret(plane);
  const requests: [string, string, Parameters<typeof call>[3]][] = [
    ['POST', '/api/hosts', { token, body: { name: `h-${randomUUID()}` } }],
    ['POST', `/api/hosts/${hostId}/enrollment`, { token }],
    ['POST', '/api/enroll', { body: { token: enrollment } }],
    ['DELETE', `/api/hosts/${hostId}`, { token }],
    ['POST', '/api/workloads', { token, body: { ...config, name: 'new' } }],
    ['PUT', base, { token, body: config }],
    ['POST', `${base}/deploy`, { token, body: {} }],
    ['POST', `${base}/snapshots`, { token }],
    ['DELETE', `${base}/snapshots/${snapshotId}`, { token }],
    ['POST', `${base}/snapshots/${snapshotId}/plan`, { token }],
    ['POST', `${base}/snapshots/${snapshotId}/restore`, { token, headers: { ...confirm, 'idempotency-key': 'k' } }],
    ['POST', `/api/intents/${running}/cancel`, { token }],
    ['POST', '/api/tokens', { token, body: { scopes: ['workloads:read'] } }],
    ['DELETE', `/api/tokens/${victim.jti}`, { token }],
    ['POST', '/api/session', { body: { token: link } }],
    ['DELETE', '/api/session', { headers: person.headers }],
  ];
  // Its first request confirms the session; that is not what this is about.
  await call(plane, 'GET', '/api/session', { headers: person.headers });
  await breakAudit(database);
  const before = await everything(database);
  for (const [method, path, options] of requests) {
    const answer = await call(plane, method, path, options);
    assert.equal(answer.status, 500, `${method} ${path}`);
    assert.doesNotMatch(JSON.stringify(answer.body), /no room/);
    assert.equal(await everything(database), before, `${method} ${path} left something behind`);
  }
  await database.sql`drop trigger no_audit on audit`;
  const [method, path, options] = requests[10] ?? assert.fail();
  assert.equal((await call(plane, method, path, options)).status, 202, 'the key is free, and the request right');
});

test('what agents do is in the audit, and does not happen without it', async () => {
  const database = await testDatabase();
  const plane = { origin: '', database, env: {}, close: () => Promise.resolve() };
  const hostId = await addHost(plane);
  const workload = await addWorkload(plane, hostId);
  const id = newId();
  await database.db.insert(intents).values({ id, kind: 'restore', workloadId: workload.id, hostId, requestedBy: 't' });
  await move(plane, id, ['claimed', 'running'], { leaseEpoch: 1 });
  await database.sql`update intents set committed_at = now() where id = ${id}`;
  const snapshotId = await addSnapshot(plane, workload);
  await database.sql`update snapshots set state = 'deleted', deleted_at = now() where id = ${snapshotId}`;
  await database.sql`update hosts set agent_instance = ${randomUUID()} where id = ${hostId}`;
  await database.sql`update hosts set agent_instance = null where id = ${hostId}`;
  const rows = await database.db.select().from(audit).orderBy(audit.seq);
  assert.deepEqual(
    rows.map((row) => [row.action, row.target]),
    [
      ['intent.committed', `intent:${id}`],
      ['snapshot.registered', `snapshot:${snapshotId}`],
      ['snapshot.deleted', `snapshot:${snapshotId}`],
      ['host.taken', `host:${hostId}`],
      ['host.released', `host:${hostId}`],
    ],
  );
  await breakAudit(database);
  const before = await everything(database);
  const finish = () =>
    finishIntent(
      database.sql,
      { intentId: id, hostId, leaseEpoch: 1 },
      { state: 'succeeded', result: {}, error: null },
    );
  await assert.rejects(finish);
  await assert.rejects(addSnapshot(plane, workload));
  await assert.rejects(
    async () => database.sql`update hosts set agent_instance = ${randomUUID()} where id = ${hostId}`,
  );
  assert.equal(await everything(database), before);
  await database.sql`drop trigger no_audit on audit`;
  assert.equal(await finish(), 'finished');
});
