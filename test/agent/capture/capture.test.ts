/** Captures on the real engine, through a running agent and a real Postgres. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import type { WorkloadConfigInput } from '../../../db/workload.ts';
import { agentPlace, startAgent } from '../../helpers/agent.ts';
import { testEngine } from '../../helpers/engine.ts';
import { enrolledHost, type IntentRow } from '../../helpers/host.ts';
import { hostWorkload } from '../../helpers/host-workload.ts';
import { testDatabase } from '../../helpers/postgres.ts';

const docker = await testEngine();
const database = await testDatabase();
const host = await enrolledHost(database);
const place = await agentPlace({ DOCKER_HOST: docker.dockerHost, REFLOAT_AGENT_DATABASE_URL: host.url });
await startAgent(place.env);
afterEach(() => docker.removeAll());

const workload = (more: Partial<WorkloadConfigInput> = {}) => hostWorkload(docker, host, place, more);

describe('capture', () => {
  for (const freeze of ['stop', 'pause', 'live'] as const) {
    test(`with freeze "${freeze}" makes a complete snapshot, and the same container runs again`, async () => {
      const made = await workload({ capture: { freeze } });
      const [id = ''] = made.containers;
      const before = await docker.engine.inspect(id);
      const row = await host.ended(await host.addIntent('capture', made.id));
      assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
      assert.deepEqual(row.error, null);
      assert.equal((row.result?.downtimeMs ?? -1) > 0, freeze !== 'live');
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
    });
  }
});

async function captureOf(workloadId: string): Promise<IntentRow> {
  return host.ended(await host.addIntent('capture', workloadId));
}

const data = (more: object) => ({
  name: 'data',
  scope: 'project' as const,
  source: 'x',
  target: '/volumes/data',
  ...more,
});

describe('a capture is refused before anything is touched', () => {
  const refused = async (id: string, code: string, containers: readonly string[] = []): Promise<void> => {
    const started = await Promise.all(containers.map(async (one) => (await docker.engine.inspect(one))?.startedAt));
    const row = await captureOf(id);
    assert.deepEqual([row.state, row.error?.code, row.error?.step], ['failed', code, 'preflight']);
    assert.ok((row.error?.hint ?? '').length > 10);
    const after = await Promise.all(containers.map(async (one) => (await docker.engine.inspect(one))?.startedAt));
    assert.deepEqual(after, started);
  };

  test('a scope that cannot be captured, naming the volume', async () => {
    const made = await workload();
    for (const scope of ['instance', 'ephemeral']) {
      const volumes = JSON.stringify([{ name: 'cache', scope, source: '', target: '/c', readOnly: false }]);
      await database.sql`update workloads set config = jsonb_set(config, '{volumes}', ${volumes}::text::jsonb) where id = ${made.id}`;
      const row = await captureOf(made.id);
      assert.equal(row.error?.code, 'SCOPE_UNSUPPORTED');
      assert.match(row.error?.message ?? '', /"cache"/);
    }
  });

  test('no volumes', async () => refused(await host.addWorkload({ volumes: [] }), 'NO_VOLUMES'));

  test('another source than image', async () => {
    mkdirSync(join(place.volumeBase, 'p', 'git-data'), { recursive: true });
    await refused(
      await host.addWorkload({ source: 'git', volumes: [data({ source: 'git-data' })] }),
      'SOURCE_NOT_IMAGE',
    );
  });

  test('a directory that is not there', async () =>
    refused(await host.addWorkload({ volumes: [data({ source: 'nowhere' })] }), 'SOURCE_MISSING'));

  test('a source outside the allowed roots', async () =>
    refused(
      await host.addWorkload({ volumes: [data({ scope: 'absolute', source: '/etc' })] }),
      'SOURCE_OUTSIDE_ROOTS',
    ));

  test('a source that is a symbolic link out of its base', async () => {
    const made = await workload();
    rmSync(made.live, { recursive: true });
    symlinkSync('/etc', made.live);
    await refused(made.id, 'SOURCE_ESCAPES_BASE', made.containers);
  });

  test('two volumes on one directory', async () => {
    mkdirSync(join(place.volumeBase, 'p', 'outer'), { recursive: true });
    const volumes = [data({ source: 'outer' }), data({ name: 'again', source: 'outer', target: '/again' })];
    await refused(await host.addWorkload({ volumes }), 'VOLUMES_OVERLAP');
  });
});

describe('capture hooks', () => {
  test('both run in the container, before the freeze and after it', async () => {
    const made = await workload({
      hooks: {
        beforeCapture: ['sh', '-c', 'echo before >> /volumes/data/log'],
        afterCapture: ['sh', '-c', 'echo after >> /volumes/data/log'],
      },
    });
    const row = await captureOf(made.id);
    assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
    assert.equal(readFileSync(join(made.live, 'log'), 'utf8'), 'before\nafter\n');
    assert.equal(row.result?.entries, 3);
  });

  test('one that fails ends the capture before anything is frozen, and shows what it wrote', async () => {
    const made = await workload({
      hooks: {
        beforeCapture: ['sh', '-c', 'echo no space; exit 3'],
        afterCapture: ['sh', '-c', 'echo undone > /volumes/data/log'],
      },
    });
    const row = await captureOf(made.id);
    assert.deepEqual([row.state, row.error?.code, row.error?.step], ['rolled_back', 'HOOK_FAILED', 'before_hook']);
    assert.match(String(row.error?.details?.['output']), /no space/);
    assert.equal(readFileSync(join(made.live, 'log'), 'utf8'), 'undone\n');
    assert.equal(existsSync(join(place.stateDir, 'snapshots', '.partial')), false);
  });

  test('one after the freeze that fails ends the capture, and leaves the workload running and no snapshot', async () => {
    const made = await workload({ hooks: { afterCapture: ['sh', '-c', 'echo not closed; exit 9'] } });
    const row = await captureOf(made.id);
    assert.deepEqual([row.state, row.error?.code, row.error?.step], ['rolled_back', 'HOOK_FAILED', 'after_hook']);
    assert.match(String(row.error?.details?.['output']), /not closed/);
    assert.equal((await docker.engine.inspect(made.containers[0] ?? ''))?.state, 'running');
    const snapshots = await database.sql`select id from snapshots where intent_id = ${row.id}`;
    assert.equal(snapshots.length, 0);
  });
});

describe('what is captured', () => {
  test('a workload without containers', async () => {
    const made = await workload({ replicas: 0 });
    const row = await captureOf(made.id);
    assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
    assert.deepEqual(row.result?.containers, []);
  });

  test('several volumes and replicas; a container that was stopped stays stopped', async () => {
    const made = await workload({ replicas: 2, capture: { freeze: 'stop' } });
    await docker.engine.stop(made.containers[0] ?? '', 1);
    const row = await captureOf(made.id);
    assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
    const states = await Promise.all(made.containers.map(async (one) => (await docker.engine.inspect(one))?.state));
    assert.deepEqual(states, ['exited', 'running']);
  });

  test('what cannot be archived is counted and named', async () => {
    const made = await workload({ hooks: { beforeCapture: ['sh', '-c', 'true'] } });
    const { spawnSync } = await import('node:child_process');
    spawnSync('mkfifo', [join(made.live, 'pipe')]);
    const row = await captureOf(made.id);
    assert.deepEqual(
      row.result?.skipped?.map(({ volume, path, reason }) => ({ volume, path, reason })),
      [{ volume: 'data', path: 'pipe', reason: 'fifo' }],
    );
  });

  test('verify reads it back; delete removes it; a changed archive is found out', async () => {
    const made = await workload();
    const snapshotId = (await captureOf(made.id)).result?.snapshotId ?? '';
    const verified = await host.ended(await host.addIntent('verify', made.id, { snapshotId }));
    assert.deepEqual([verified.state, verified.result?.entries], ['succeeded', 2]);
    const archive = join(place.stateDir, 'snapshots', snapshotId, 'data.tar.zst');
    const bytes = readFileSync(archive);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    writeFileSync(archive, bytes);
    const changed = await host.ended(await host.addIntent('verify', made.id, { snapshotId }));
    assert.deepEqual([changed.state, changed.error?.code], ['failed', 'ARCHIVE_CHANGED']);
    await database.sql`update snapshots set protected_until = now() + interval '1 hour' where id = ${snapshotId}`;
    const kept = await host.ended(await host.addIntent('delete', made.id, { snapshotId }));
    assert.equal(kept.error?.code, 'SNAPSHOT_PROTECTED');
    await database.sql`update snapshots set protected_until = null where id = ${snapshotId}`;
    const deleted = await host.ended(await host.addIntent('delete', made.id, { snapshotId }));
    assert.equal(deleted.state, 'succeeded', JSON.stringify(deleted.error));
    assert.equal(readdirSync(join(place.stateDir, 'snapshots')).includes(snapshotId), false);
    const [row] = await database.sql`select state from snapshots where id = ${snapshotId}`;
    assert.equal(row?.['state'], 'deleted');
  });
});
