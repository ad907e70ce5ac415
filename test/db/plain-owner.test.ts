/** The control plane with a database login as managed PostgreSQL gives: owner of its database, may create roles, no superuser. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { connect } from '../../db/client.ts';
import { migrate } from '../../db/migrate.ts';
import {
  addHost,
  addSnapshot,
  addWorkload,
  call,
  mint,
  move,
  startNodeControlPlane,
} from '../helpers/control-plane.ts';
import { testDatabase } from '../helpers/postgres.ts';

test('migrates, enrols, restores, audits and revokes without being superuser, although row-level security binds it, too', async () => {
  const database = await testDatabase({ empty: true });
  const owner = `refloat_test_owner_${randomBytes(5).toString('hex')}`;
  const name = new URL(database.url).pathname.slice(1);
  await database.sql.unsafe(`create role ${owner} login createrole password 'pw'`);
  // Tests share a server, whose refloat_agent somebody else may have made.
  await database.sql.unsafe(
    `do $$ begin create role refloat_agent nologin; exception when duplicate_object or unique_violation then null; end $$`,
  );
  await database.sql.unsafe(
    `grant refloat_agent to ${owner} with admin option; alter database ${name} owner to ${owner}`,
  );
  const url = database.urlAs(owner, 'pw');
  await migrate(url);
  const connection = connect(url, { max: 3 });
  const plane = await startNodeControlPlane({ ...database, ...connection, url });
  try {
    const token = (await mint(plane)).jwt;
    const hostId = await addHost(plane);
    const enrollment = await call(plane, 'POST', `/api/hosts/${hostId}/enrollment`, { token });
    const enrolled = await call(plane, 'POST', '/api/enroll', { body: { token: enrollment.body.token } });
    assert.equal(enrolled.status, 200, JSON.stringify(enrolled.body));
    const workload = await addWorkload(plane, hostId);
    const snapshotId = await addSnapshot(plane, workload);
    const restore = await call(plane, 'POST', `/api/workloads/${workload.id}/snapshots/${snapshotId}/restore`, {
      token,
      headers: { 'x-confirm-restore': workload.name },
    });
    assert.equal(restore.status, 202);
    const agent = connect(enrolled.body.databaseUrl, { max: 1 });
    await agent.sql`update intents set state = 'claimed' where id = ${restore.body.id}`;
    await agent.sql`update intents set state = 'failed' where id = ${restore.body.id}`;
    await assert.rejects(move(plane, restore.body.id, ['running']));
    const listed = await call(plane, 'GET', '/api/audit', { token });
    assert.ok(
      listed.body.audit.some(
        (row: { action: string; actor: string }) => row.action === 'intent.failed' && row.actor.startsWith('host:'),
      ),
    );
    assert.equal((await connection.sql`select audit_first_broken() as broken`)[0]?.['broken'], null);
    assert.equal((await call(plane, 'DELETE', `/api/hosts/${hostId}`, { token })).status, 204);
    await assert.rejects(async () => agent.sql`select 1`, 'its connection was cut');
    await agent.close();
  } finally {
    await plane.close();
    await connection.close();
    const roles = await database.sql<{ pg_role: string }[]>`select pg_role from hosts where pg_role is not null`;
    await database.sql.unsafe(
      `alter database ${name} owner to current_user; reassign owned by ${owner} to current_user`,
    );
    for (const { pg_role } of roles) await database.sql.unsafe(`drop role ${pg_role}`);
    await database.sql.unsafe(`drop owned by ${owner}; drop role ${owner}`);
  }
});
