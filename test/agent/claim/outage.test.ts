/** Postgres goes away while an intent runs: the host finishes its work, and everything arrives afterwards, in order, once. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { agentCommand, agentPlace, startAgent, startAgentCommand } from '../../helpers/agent.ts';
import { testEngine } from '../../helpers/engine.ts';
import { enrolledHost, type IntentRow, waitFor } from '../../helpers/host.ts';
import { type HostWorkload, hostWorkload, WAIT_FOR_GO } from '../../helpers/host-workload.ts';
import { ownDatabase } from '../../helpers/own-postgres.ts';

const docker = await testEngine();
const database = await ownDatabase();
const host = await enrolledHost(database);
const place = await agentPlace({ DOCKER_HOST: docker.dockerHost, REFLOAT_AGENT_DATABASE_URL: host.url });
afterEach(() => docker.removeAll());

async function beginCapture(): Promise<{ workload: HostWorkload; id: string; go: () => void }> {
  const workload = await hostWorkload(docker, host, place, { hooks: { beforeCapture: WAIT_FOR_GO } });
  const id = await host.addIntent('capture', workload.id);
  await waitFor(() => existsSync(join(workload.live, 'waiting')), Boolean);
  return { workload, id, go: () => writeFileSync(join(workload.live, 'go'), '') };
}

/** Complete: every step's event, in order, without a gap, once; the snapshot; the outcome; and nothing left to deliver. */
async function assertDelivered(row: IntentRow): Promise<void> {
  assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
  const events = await host.events(row.id);
  assert.deepEqual(
    events.map((event) => event.seq),
    events.map((_, index) => index + 1),
  );
  const done = events.filter((event) => event.data['status'] === 'done').map((event) => event.data['step']);
  assert.deepEqual(done, [
    'preflight',
    'check_disk',
    'copy',
    'before_hook',
    'catch_up',
    'freeze',
    'clone',
    'resume',
    'after_hook',
    'archive',
    'register',
  ]);
  const snapshots = await database.sql`select id from snapshots where intent_id = ${row.id}`;
  assert.deepEqual(
    snapshots.map((one) => one['id']),
    [row.result?.snapshotId],
  );
  await waitFor(
    () => readdirSync(join(place.stateDir, 'spool')),
    (names) => names.length === 0,
  );
}

test('the database restarts in the middle: the intent finishes without it and is delivered when it is back', async () => {
  const agent = await startAgent(place.env);
  const { id, go } = await beginCapture();
  await database.stop();
  go();
  await waitFor(
    () => agent.stderr(),
    (text) => text.includes('"msg":"ends"'),
  );
  assert.match(agent.stderr(), /"state":"succeeded"/);
  const status = await agentCommand(['status', '--json'], place.env);
  const spool = status.json?.['spool'] as { intentId: string; undelivered: number }[];
  assert.equal(spool[0]?.intentId, id);
  assert.ok((spool[0]?.undelivered ?? 0) > 5);
  await database.start();
  await assertDelivered(await host.ended(id));
  // And it goes on claiming.
  assert.equal((await host.ended(await host.addIntent('verify', await host.addWorkload()))).state, 'failed');
  await agent.drain();
});

test('the database takes no writes for a while: that is no refusal, and everything arrives when it does again', async () => {
  const agent = await startAgent(place.env);
  const role = new URL(host.url).username;
  const readOnly = async (on: 'on' | 'off'): Promise<void> => {
    await database.sql.unsafe(`alter role "${role}" set default_transaction_read_only = ${on}`);
    await database.sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${role}`;
  };
  const { id, go } = await beginCapture();
  await readOnly('on');
  go();
  await waitFor(
    () => agent.stderr(),
    (text) => text.includes('"msg":"ends"'),
  );
  assert.match(agent.stderr(), /"state":"succeeded"/);
  assert.equal((await host.intent(id)).state, 'running');
  await readOnly('off');
  const row = await host.ended(id);
  await assertDelivered(row);
  assert.notEqual(row.result, null);
  await agent.drain();
});

test('the agent ends while the database is away: the next one delivers what it left', async () => {
  const agent = await startAgent(place.env);
  const { id, go } = await beginCapture();
  await database.stop();
  go();
  await waitFor(
    () => agent.stderr(),
    (text) => text.includes('"msg":"ends"'),
  );
  assert.equal((await agent.drain()).code, 0);
  await database.start();
  assert.equal((await host.intent(id)).state, 'running');
  const next = await startAgent(place.env);
  await assertDelivered(await host.ended(id));
  await next.drain();
});

test('the agent is killed between two deliveries: nothing is lost, and nothing arrives twice', async () => {
  for (const point of [
    'deliver-after:event#2',
    'deliver-after:snapshot#1',
    'deliver-before:finish#1',
    'deliver-after:finish#1',
  ]) {
    const agent = await startAgent({ ...place.env, REFLOAT_CRASH_AT: point });
    const workload = await hostWorkload(docker, host, place);
    const id = await host.addIntent('capture', workload.id);
    await agent.crashed();
    const next = await startAgent(place.env);
    const row = await host.ended(id);
    if (row.state === 'succeeded') await assertDelivered(row);
    // Killed before its commit point, since the deliveries run beside it.
    else
      assert.deepEqual(
        [row.state === 'failed' || row.state === 'rolled_back', row.error?.code],
        [true, 'INTERRUPTED'],
        point,
      );
    await next.drain();
    assert.deepEqual(readdirSync(join(place.stateDir, 'spool')), [], point);
  }
});

test('the agent starts while the database is away: it recovers at once, and claims when it is back', async () => {
  await database.stop();
  const agent = agentCommand(['recover', '--json'], place.env);
  assert.equal((await agent).code, 0);
  const running = startAgentCommand(['run', '--json'], place.env);
  await waitFor(
    () => running.stderr(),
    (text) => text.includes('waiting for the database'),
  );
  await database.start();
  await running.ready;
  assert.equal((await host.ended(await host.addIntent('verify', await host.addWorkload()))).state, 'failed');
  await running.drain();
});
