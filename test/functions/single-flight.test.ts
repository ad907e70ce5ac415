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
