/** Captures on the real engine, through a running agent and a real Postgres. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { planContainers } from '../../../agent/deploy/plan-containers.ts';
import { newId } from '../../../db/ids.ts';
import { WORKLOAD_CONFIG, type WorkloadConfigInput } from '../../../db/workload.ts';
import { type AgentPlace, agentPlace, startAgent } from '../../helpers/agent.ts';
import { type TestEngine, testEngine } from '../../helpers/engine.ts';
import { enrolledHost, type TestHost } from '../../helpers/host.ts';
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
  await startAgent(place.env);
});
after(async () => {
  await docker.removeAll();
});

interface Made {
  readonly id: string;
  readonly live: string;
  readonly containers: readonly string[];
}

/** A workload with data and, unless told otherwise, one running container. */
async function workload(more: Partial<WorkloadConfigInput> = {}, running = 1): Promise<Made> {
  const id = docker.newWorkloadId();
  const source = `data-${id.slice(-12)}`;
  const input = {
    image: docker.image,
    volumes: [{ name: 'data', scope: 'project' as const, source, target: '/volumes/data' }],
    replicas: running,
    stopTimeoutSeconds: 5,
    ...more,
  };
  await host.addWorkload(input, id);
  const live = join(place.volumeBase, 'p', source);
  mkdirSync(live, { recursive: true });
  writeFileSync(join(live, 'file'), 'contents');
  const imageId = (await docker.engine.imageId(docker.image)) ?? '';
  const config = WORKLOAD_CONFIG.parse({
    name: `w-${id.slice(-12)}`,
    project: 'p',
    hostId: host.id,
    network: 'none',
    ...input,
  });
  const specs = planContainers({
    workload: { id, version: 1, config },
    hostPaths: new Map([['data', live]]),
    imageId,
    image: docker.image,
    intentId: newId(),
  });
  const containers = await Promise.all(
    specs.map(async (spec) => {
      const container = await docker.engine.create(spec);
      await docker.engine.start(container);
      return container;
    }),
  );
  return { id, live, containers };
}

describe('capture', () => {
  for (const freeze of ['stop', 'pause', 'live'] as const) {
    test(`with freeze "${freeze}" makes a complete snapshot, and the same container runs again`, async () => {
      const made = await workload({ capture: { freeze } });
      const [id = ''] = made.containers;
      const before = await docker.engine.inspect(id);
      const row = await host.ended(await host.addIntent('capture', made.id));
      assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
      assert.deepEqual(row.error, null);
      const after = await docker.engine.inspect(id);
      assert.equal(after?.state, 'running');
      assert.deepEqual(after.restartPolicy, before?.restartPolicy);
      if (freeze !== 'stop') assert.equal(after.startedAt, before?.startedAt);
      const [snapshot] =
        await database.sql`select id, kind, manifest_sha256, image_id from snapshots where intent_id = ${row.id}`;
      assert.equal(snapshot?.['id'], row.result?.snapshotId);
      assert.equal(snapshot?.['image_id'], before?.imageId);
      assert.deepEqual((await readdir(row.result?.snapshotPath ?? '')).sort(), ['data.tar.zst', 'manifest.json']);
      const steps = (await host.events(row.id))
        .filter((event) => event.data['status'] === 'done')
        .map((event) => event.data['step']);
      assert.deepEqual(steps, [
        'preflight',
        'check_disk',
        'before_hook',
        'freeze',
        'archive',
        'resume',
        'after_hook',
        'register',
      ]);
    });
  }
});
