/** Two handlers in two processes, which share nothing but the database. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { eq } from 'drizzle-orm';
import { intents } from '../../db/schema/index.ts';
import {
  addHost,
  addSnapshot,
  addWorkload,
  type ControlPlane,
  call,
  controlPlaneEnv,
  mint,
  move,
} from '../helpers/control-plane.ts';
import { testDatabase } from '../helpers/postgres.ts';
import { startRefloat } from '../helpers/refloat.ts';

const ROUNDS = 15;
const REQUESTS = 16;

test('two processes, many restores at the same moment: every round one 202, and 409 with its id for all others', async () => {
  const database = await testDatabase();
  const env = { ...(await controlPlaneEnv(database)), REFLOAT_DATABASE_URL: database.url };
  const servers = await Promise.all([
    startRefloat(['serve', '--port', '0', '--json'], env),
    startRefloat(['serve', '--port', '0', '--json'], env),
  ]);
  assert.notEqual(servers[0].ready.url, servers[1].ready.url);
  const plane: ControlPlane = { origin: servers[0].ready.url, database, env, close: () => Promise.resolve() };
  const token = (await mint(plane)).jwt;
  const hostId = await addHost(plane);
  const workload = await addWorkload(plane, hostId);
  const snapshotId = await addSnapshot(plane, workload);
  const restore = (index: number, headers: Record<string, string> = {}) =>
    call(
      { origin: servers[index % 2]?.ready.url },
      'POST',
      `/api/workloads/${workload.id}/snapshots/${snapshotId}/restore`,
      {
        token,
        headers: { 'x-confirm-restore': workload.name, ...headers },
      },
    );
  for (let round = 0; round < ROUNDS; round++) {
    const answers = await Promise.all(Array.from({ length: REQUESTS }, (_, index) => restore(index)));
    const accepted = answers.filter((answer) => answer.status === 202);
    assert.equal(accepted.length, 1, `round ${round}`);
    const id = accepted[0]?.body.id as string;
    for (const answer of answers)
      if (answer.status !== 202) assert.deepEqual([answer.status, answer.body.intentId], [409, id]);
    await move(plane, id, ['claimed', 'running', 'failed']);
  }
  const key = randomUUID();
  const same = await Promise.all(
    Array.from({ length: REQUESTS }, (_, index) => restore(index, { 'idempotency-key': key })),
  );
  assert.deepEqual(
    [...new Set(same.map((answer) => `${answer.status} ${answer.body.id}`))],
    [`202 ${same[0]?.body.id}`],
    'one key across both processes',
  );
  const rows = await database.db.select().from(intents).where(eq(intents.workloadId, workload.id));
  assert.equal(rows.length, ROUNDS + 1);
  for (const server of servers) assert.deepEqual(await server.stop(), { code: 0, signal: null });
});

test('two processes, 200 restores at the same moment: one 202 and 199 times 409; with one key 200 times the same 202', async () => {
  const database = await testDatabase();
  const env = { ...(await controlPlaneEnv(database)), REFLOAT_DATABASE_URL: database.url };
  const servers = await Promise.all([
    startRefloat(['serve', '--port', '0', '--json'], env),
    startRefloat(['serve', '--port', '0', '--json'], env),
  ]);
  const plane: ControlPlane = { origin: servers[0].ready.url, database, env, close: () => Promise.resolve() };
  const token = (await mint(plane)).jwt;
  const hostId = await addHost(plane);
  const ask = async (headers: Record<string, string>) => {
    const workload = await addWorkload(plane, hostId);
    const snapshotId = await addSnapshot(plane, workload);
    const path = `/api/workloads/${workload.id}/snapshots/${snapshotId}/restore`;
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        call({ origin: servers[index % 2]?.ready.url }, 'POST', path, {
          token,
          headers: { 'x-confirm-restore': workload.name, ...headers },
        }),
      ),
    );
    const rows = await database.db.select().from(intents).where(eq(intents.workloadId, workload.id));
    return { answers, rows };
  };
  const { answers, rows } = await ask({});
  const count = (status: number) => answers.filter((answer) => answer.status === status).length;
  assert.deepEqual([count(202), count(409), rows.length], [1, 199, 1]);
  for (const answer of answers)
    if (answer.status === 409)
      assert.deepEqual([answer.body.code, answer.body.intentId], ['INTENT_UNDER_WAY', rows[0]?.id]);
  const keyed = await ask({ 'idempotency-key': randomUUID() });
  assert.equal(keyed.rows.length, 1);
  for (const { status, headers, body } of keyed.answers) {
    assert.deepEqual([status, headers.get('location')], [202, `/api/intents/${keyed.rows[0]?.id}`]);
    assert.deepEqual(body, keyed.answers[0]?.body);
  }
  for (const server of servers) assert.deepEqual(await server.stop(), { code: 0, signal: null });
});
