import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eq } from 'drizzle-orm';
import { newId } from '../../db/ids.ts';
import { canMove, EXCLUSIVE_KINDS, INTENT_KINDS, INTENT_STATES, type IntentState } from '../../db/intent-state.ts';
import { intents } from '../../db/schema/index.ts';
import { addHost, addWorkload, type ControlPlane } from '../helpers/control-plane.ts';
import { testDatabase } from '../helpers/postgres.ts';

/** A way from `pending` to each state. */
const WAY: Record<IntentState, readonly IntentState[]> = {
  pending: [],
  claimed: ['claimed'],
  running: ['claimed', 'running'],
  succeeded: ['claimed', 'running', 'succeeded'],
  failed: ['claimed', 'running', 'failed'],
  rolled_back: ['claimed', 'running', 'rolled_back'],
  cancelled: ['cancelled'],
  stuck: ['claimed', 'running', 'stuck'],
};

async function setUp() {
  const database = await testDatabase();
  const plane: ControlPlane = { origin: '', database, env: {}, close: () => Promise.resolve() };
  const hostId = await addHost(plane);
  const workload = await addWorkload(plane, hostId);
  const add = async (kind: (typeof INTENT_KINDS)[number] = 'plan'): Promise<string> => {
    const id = newId();
    await database.db.insert(intents).values({ id, kind, workloadId: workload.id, hostId, requestedBy: 'test' });
    return id;
  };
  const go = (id: string, state: IntentState) => database.db.update(intents).set({ state }).where(eq(intents.id, id));
  return { database, add, go, hostId, workload };
}

test('Postgres allows exactly the transitions of the table in types: all 64 pairs tried', async () => {
  const { add, go } = await setUp();
  for (const from of INTENT_STATES) {
    for (const to of INTENT_STATES) {
      const id = await add();
      for (const state of WAY[from]) await go(id, state);
      const allowed = await go(id, to).then(
        () => true,
        () => false,
      );
      assert.equal(allowed, from === to || canMove(from, to), `${from} → ${to}`);
    }
  }
});

test('an intent begins as pending, and what it asks for never changes', async () => {
  const { database, add, hostId, workload } = await setUp();
  const { sql } = database;
  for (const state of INTENT_STATES.filter((each) => each !== 'pending')) {
    await assert.rejects(
      sql`insert into intents (id, kind, state, workload_id, host_id, requested_by) values (${newId()}, 'plan', ${state}, ${workload.id}, ${hostId}, 'x')`,
      { code: '23514' },
    );
  }
  const id = await add();
  for (const change of [
    "kind = 'restore'",
    `host_id = '${newId()}'`,
    `workload_id = '${newId()}'`,
    `snapshot_id = '${newId()}'`,
    "requested_by = 'other'",
    'params = \'{"a":1}\'',
    "created_at = now() - interval '1 day'",
    `id = '${newId()}'`,
    'lease_epoch = -1',
  ]) {
    await assert.rejects(sql.unsafe(`update intents set ${change} where id = '${id}'`), { code: '23514' }, change);
  }
});

test('two intents that exclude each other cannot be under way on one workload, in any pair of kinds and states', async () => {
  const { database, add, go } = await setUp();
  const exclusive: readonly string[] = EXCLUSIVE_KINDS;
  for (const first of INTENT_KINDS) {
    for (const second of INTENT_KINDS) {
      for (const state of ['pending', 'claimed', 'running'] as const) {
        const id = await add(first);
        for (const step of WAY[state]) await go(id, step);
        const other = await add(second).catch((error: unknown) => error);
        const clash = exclusive.includes(first) && exclusive.includes(second);
        assert.equal(typeof other === 'string', !clash, `${second} while ${first} is ${state}`);
        await database.sql`update intents set state = 'claimed' where state = 'pending'`;
        await database.sql`update intents set state = 'failed' where state in ('claimed', 'running')`;
      }
    }
  }
});

test('a new intent, and a cancel, wake the agent of that host and no other', async () => {
  const { database, add, hostId } = await setUp();
  const other = await addHost({ origin: '', database, env: {}, close: () => Promise.resolve() });
  const heard: string[] = [];
  const listen = async (host: string) =>
    database.sql.listen(`refloat_${host.replaceAll('-', '')}`, (payload) => heard.push(`${host}:${payload}`));
  const [mine, theirs] = [await listen(hostId), await listen(other)];
  const id = await add('restore');
  await database.db.update(intents).set({ cancelRequestedAt: new Date() }).where(eq(intents.id, id));
  await database.db.update(intents).set({ step: 'stage' }).where(eq(intents.id, id));
  // Notifications keep their order: when this one is here, the others are.
  const last = new Promise<void>(
    (resolve) => void database.sql.listen('last', () => resolve()).then(() => database.sql.notify('last', '')),
  );
  await last;
  assert.deepEqual(heard, [`${hostId}:${id}`, `${hostId}:${id}`]);
  await mine.unlisten();
  await theirs.unlisten();
});
