/**
 * The agent is killed with SIGKILL at every point of a capture's journal and of the making of its snapshot. After recovery,
 * without the database, the container runs again as it was, no copy of its data is left, and a snapshot is there whole or not
 * at all; the next agent tells the database what came of it.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { compose } from '../../../agent/compose.ts';
import { parseConfig } from '../../../agent/config.ts';
import { recoverHost } from '../../../agent/recover-host.ts';
import { readSnapshotDirectory } from '../../../agent/snapshots/read-manifest.ts';
import { agentPlace, startAgent } from '../../helpers/agent.ts';
import { testEngine } from '../../helpers/engine.ts';
import { enrolledHost, waitFor } from '../../helpers/host.ts';
import { hostWorkload } from '../../helpers/host-workload.ts';
import { testDatabase } from '../../helpers/postgres.ts';

const docker = await testEngine();
const database = await testDatabase();
const host = await enrolledHost(database);
const place = await agentPlace({ DOCKER_HOST: docker.dockerHost, REFLOAT_AGENT_DATABASE_URL: host.url });
afterEach(() => docker.removeAll());

/** The end of every step and the making of the snapshot; of the second way those between freezing and running again, where the ways differ. */
const SWEEPS = [
  {
    freeze: 'stop',
    at: /^(journal-after:(begin|note:freezing|done|commit|outcome)|snapshot:)/,
    atLeast: 14,
    ends: ['failed', 'rolled_back', 'succeeded'],
  },
  {
    freeze: 'pause',
    at: /^journal-after:(note:freezing|done:freeze|done:clone|started:resume|done:resume)#/,
    atLeast: 5,
    ends: ['rolled_back'],
  },
] as const;

for (const { freeze, at, atLeast, ends } of SWEEPS) {
  test(`killed at every point of a capture with freeze "${freeze}"`, async (t) => {
    const workload = await hostWorkload(docker, host, place, { capture: { freeze }, restart: 'always' });
    const [container = ''] = workload.containers;
    const points = (await trace(workload.id)).filter((point) => at.test(point));
    t.diagnostic(points.join(' '));
    assert.ok(points.length >= atLeast, `${points.length} points`);
    const states = new Set<string>();
    let last: { id: string; point: string } | null = null;
    for (const point of [...points, null]) {
      // This agent tells the database what came of the one before it.
      const agent = await startAgent({ ...place.env, ...(point === null ? {} : { REFLOAT_CRASH_AT: point }) });
      if (last !== null) states.add(await settled(last.id, last.point));
      if (point === null) {
        assert.equal((await agent.drain()).code, 0);
        break;
      }
      const id = await host.addIntent('capture', workload.id);
      await agent.crashed();
      await recoverHost(compose(parseConfig({ ...place.env, REFLOAT_LOG: 'silent' }, {})));
      const now = await docker.engine.inspect(container);
      assert.deepEqual([now?.state, now?.restartPolicy.name], ['running', 'always'], point);
      const beside = readdirSync(join(workload.live, '..')).filter((name) => name.startsWith('.refloat-'));
      assert.deepEqual(beside, [], `${point}: a copy was left behind`);
      last = { id, point };
    }
    assert.deepEqual([...states].sort(), ends);
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

/** What the database knows once it was told; an intent of which nothing had begun is begun anew. */
async function settled(id: string, point: string): Promise<string> {
  const row = await host.ended(id);
  await waitFor(
    () => existsSync(join(place.stateDir, 'spool', `${id}.jsonl`)),
    (there) => !there,
  );
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
  const known = await database.sql`select id from snapshots`;
  assert.equal(there.length, known.length, `${point}: a snapshot that nobody knows of`);
  if (row.state === 'succeeded') {
    const path = join(place.stateDir, 'snapshots', snapshot?.['id'] as string);
    readSnapshotDirectory(path, snapshot?.['manifest_sha256'] as string);
  } else {
    assert.equal(row.error?.code, 'INTERRUPTED', point);
    assert.equal(snapshot, undefined, point);
  }
  return row.state;
}
