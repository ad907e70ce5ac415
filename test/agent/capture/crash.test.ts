/**
 * The agent is killed with SIGKILL at every point of a capture's journal and of the making of its snapshot. After recovery,
 * without the database, the container runs again as it was, and a snapshot is there whole or not at all; the next agent tells
 * the database what came of it.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { compose } from '../../../agent/compose.ts';
import { parseConfig } from '../../../agent/config.ts';
import { recoverHost } from '../../../agent/recover-host.ts';
import { readSnapshotDirectory } from '../../../agent/snapshots/read-manifest.ts';
import { type AgentPlace, agentPlace, startAgent } from '../../helpers/agent.ts';
import { type TestEngine, testEngine } from '../../helpers/engine.ts';
import { enrolledHost, type TestHost } from '../../helpers/host.ts';
import { hostWorkload } from '../../helpers/host-workload.ts';
import { type TestDatabase, testDatabase } from '../../helpers/postgres.ts';

let docker: TestEngine;
let database: TestDatabase;
let host: TestHost;
let place: AgentPlace;

before(async () => {
  docker = await testEngine();
  database = await testDatabase();
  host = await enrolledHost(database);
  place = await agentPlace({ DOCKER_HOST: docker.dockerHost, REFLOAT_AGENT_DATABASE_URL: host.url });
});
after(async () => docker.removeAll());

/** Every point of the first sweep; of the others those between freezing and running again, where the ways differ. */
const SWEEPS = [
  { freeze: 'stop', at: /^(journal-after|snapshot):/, atLeast: 22 },
  {
    freeze: 'pause',
    at: /^journal-after:(note:freezing|started:freeze|done:freeze|done:archive|started:resume|done:resume)/,
    atLeast: 6,
  },
] as const;

for (const { freeze, at, atLeast } of SWEEPS) {
  test(`killed at every point of a capture with freeze "${freeze}"`, async (t) => {
    const workload = await hostWorkload(docker, host, place, { capture: { freeze }, restart: 'always' });
    const [container = ''] = workload.containers;
    const points = (await trace(workload.id)).filter((point) => at.test(point));
    t.diagnostic(points.join(' '));
    assert.ok(points.length >= atLeast, `${points.length} points`);
    const told = new Map<string, string>();
    for (const point of points) {
      const agent = await startAgent({ ...place.env, REFLOAT_CRASH_AT: point });
      const id = await host.addIntent('capture', workload.id);
      await agent.crashed();
      const { intents } = await recoverHost(compose(parseConfig({ ...place.env, REFLOAT_LOG: 'silent' }, {})));
      const outcome = intents.find((one) => one.intentId === id)?.outcome;
      if (outcome !== undefined && outcome !== null) told.set(id, outcome.state);
      const now = await docker.engine.inspect(container);
      assert.deepEqual([now?.state, now?.restartPolicy.name], ['running', 'always'], point);
      await settle(id, point);
    }
    const states = new Set(told.values());
    assert.ok(states.has('rolled_back') && states.has('succeeded'), 'both ends of the capture were seen');
  });
}

async function trace(workloadId: string): Promise<string[]> {
  const file = join(place.stateDir, '..', `trace-${workloadId}`);
  const agent = await startAgent({ ...place.env, REFLOAT_CRASH_TRACE: file });
  const row = await host.ended(await host.addIntent('capture', workloadId));
  assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
  assert.equal((await agent.drain()).code, 0);
  return readFileSync(file, 'utf8').trim().split('\n');
}

/** The next agent delivers what recovery spooled, or begins an intent anew of which nothing had begun. */
async function settle(id: string, point: string): Promise<void> {
  const agent = await startAgent(place.env);
  const row = await host.ended(id);
  assert.equal((await agent.drain()).code, 0);
  const seqs = (await host.events(id)).map((event) => event.seq);
  assert.deepEqual(
    seqs,
    seqs.map((_, index) => index + 1),
    point,
  );
  const [snapshot] = await database.sql`select id, manifest_sha256 from snapshots where intent_id = ${id}`;
  const there = readdirSync(join(place.stateDir, 'snapshots'));
  assert.deepEqual(
    there.filter((name) => name.startsWith('.')),
    [],
    point,
  );
  if (row.state === 'succeeded') {
    const path = join(place.stateDir, 'snapshots', snapshot?.['id'] as string);
    readSnapshotDirectory(path, snapshot?.['manifest_sha256'] as string);
  } else {
    assert.equal(row.error?.code, 'INTERRUPTED', point);
    assert.equal(snapshot, undefined, point);
    const known = await database.sql`select id from snapshots`;
    assert.equal(there.length, known.length, `${point}: a snapshot that nobody knows of`);
  }
  assert.equal(existsSync(join(place.stateDir, 'spool', `${id}.jsonl`)), false, point);
}
