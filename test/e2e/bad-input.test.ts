/**
 * What is refused before anything is stopped: each time with a code and a hint, the container untouched, the data as it was,
 * nothing left beside it.
 */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { WorkloadConfigInput } from '../../db/workload.ts';
import { removeImage, tagImage } from '../helpers/docker-cli.ts';
import { testEngine } from '../helpers/engine.ts';
import { mountLoop } from '../helpers/loop-fs.ts';
import { type RunningAgent, startStack } from '../helpers/stack.ts';
import { compareTrees, snapshotTree } from '../helpers/tree.ts';

const engine = await testEngine();
engine.removeAllAtEnd();
const stack = await startStack(engine);
let agent: RunningAgent;
before(async () => {
  agent = await stack.startAgent();
});
after(() => agent.stop());

type Volume = NonNullable<WorkloadConfigInput['volumes']>[number];
const VOLUME: Volume = { name: 'data', scope: 'project', source: 'data', target: '/volumes/data' };
const ELSEWHERE = '01900000-0000-7000-8000-000000000000';

async function intent(path: string, headers: Record<string, string> = {}) {
  const { status, body } = await stack.call('POST', path, { body: {}, headers });
  assert.equal(status, 202, JSON.stringify(body));
  return stack.finished(body.id);
}

let made = 0;
async function captured(source: string, scope: Volume['scope'] = 'project') {
  const { id, name } = await stack.createWorkload({
    name: `bad-${++made}-${process.pid}`,
    volumes: [{ ...VOLUME, source, scope }],
  });
  assert.equal((await intent(`/api/workloads/${id}/deploy`)).state, 'succeeded');
  const live = scope === 'absolute' ? source : join(stack.volumeBase, 'p', source);
  writeFileSync(join(live, 'which'), 'captured');
  const capture = await intent(`/api/workloads/${id}/snapshots`);
  assert.equal(capture.state, 'succeeded', JSON.stringify(capture.error));
  writeFileSync(join(live, 'which'), 'live');
  return {
    id,
    name,
    live,
    snapshotId: capture.result.snapshotId as string,
    path: capture.result.snapshotPath as string,
  };
}
type Captured = Awaited<ReturnType<typeof captured>>;

/** Restores, and asserts that it was refused with this code and that nothing at all happened. */
async function refuses({ id, name, live, snapshotId }: Captured, code: string): Promise<void> {
  const own = async () => (await engine.mine()).filter((one) => one.labels['refloat.workload'] === id);
  const [containers, tree, beside] = [await own(), snapshotTree(live), readdirSync(join(live, '..'))];
  const { status, body } = await stack.call('POST', `/api/workloads/${id}/snapshots/${snapshotId}/restore`, {
    headers: { 'x-confirm-restore': name },
  });
  assert.equal(status, 202, JSON.stringify(body));
  const finished = await stack.finished(body.id);
  assert.equal(finished.state, 'failed');
  assert.equal(finished.error.code, code, finished.error.message);
  assert.ok(finished.error.hint.length > 10);
  assert.equal(finished.error.disposition, 'refuse');
  assert.deepEqual(
    (await own()).map(({ id: one, state, startedAt, restartPolicy }) => [one, state, startedAt, restartPolicy]),
    containers.map(({ id: one, state, startedAt, restartPolicy }) => [one, state, startedAt, restartPolicy]),
  );
  assert.deepEqual(compareTrees(tree, snapshotTree(live)), []);
  assert.deepEqual(readdirSync(join(live, '..')), beside);
}

async function reconfigure(id: string, volumes: Volume[]) {
  const { body } = await stack.call('GET', `/api/workloads/${id}`);
  const { id: _, version: __, createdAt: ___, updatedAt: ____, ...config } = body;
  return stack.call('PUT', `/api/workloads/${id}`, { body: { ...config, volumes } });
}

test('an archive that is missing, cut, longer, or changed within', async () => {
  const workload = await captured('archive');
  const archive = join(workload.path, 'data.tar.zst');
  const kept = readFileSync(archive);
  renameSync(archive, `${archive}.away`);
  await refuses(workload, 'ARCHIVE_MISSING');
  renameSync(`${archive}.away`, archive);
  truncateSync(archive, kept.length - 1);
  await refuses(workload, 'ARCHIVE_CHANGED');
  writeFileSync(archive, kept);
  appendFileSync(archive, '\0');
  await refuses(workload, 'ARCHIVE_CHANGED');
});

test('an archive of the right size with a changed byte is found while it is staged, and staging is taken back', async () => {
  const workload = await captured('flipped');
  const archive = join(workload.path, 'data.tar.zst');
  const bytes = readFileSync(archive);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(archive, bytes);
  const beside = readdirSync(join(workload.live, '..'));
  const planned = await intent(`/api/workloads/${workload.id}/snapshots/${workload.snapshotId}/plan`, {});
  const { ok, refusals } = planned.result.plan;
  assert.deepEqual([ok, /^ARCHIVE_/.test(refusals[0]?.code)], [false, true], 'a plan says what a restore would say');
  const restore = await intent(`/api/workloads/${workload.id}/snapshots/${workload.snapshotId}/restore`, {
    'x-confirm-restore': workload.name,
  });
  assert.notEqual(restore.state, 'succeeded');
  assert.match(restore.error.code, /^ARCHIVE_/);
  assert.equal(restore.error.step, 'stage');
  assert.equal(readFileSync(join(workload.live, 'which'), 'utf8'), 'live');
  assert.deepEqual(readdirSync(join(workload.live, '..')), beside);
});

test('a manifest that is missing, changed, or another snapshot’s', async () => {
  const workload = await captured('manifest');
  const manifest = join(workload.path, 'manifest.json');
  const kept = readFileSync(manifest, 'utf8');
  writeFileSync(manifest, kept.replace('"data"', '"date"'));
  await refuses(workload, 'MANIFEST_CHANGED');
  rmSync(manifest);
  await refuses(workload, 'MANIFEST_MISSING');
});

test('a source outside the allowed roots, through a link out of its base, or a file', async () => {
  const workload = await captured('links');
  const outside = join(stack.stateDir, '..', 'outside');
  mkdirSync(outside, { recursive: true });
  await reconfigure(workload.id, [{ ...VOLUME, scope: 'absolute', source: outside }]);
  await refuses(workload, 'SOURCE_OUTSIDE_ROOTS');
  symlinkSync(outside, join(stack.volumeBase, 'p', 'way-out'));
  await reconfigure(workload.id, [{ ...VOLUME, source: 'way-out' }]);
  await refuses(workload, 'SOURCE_ESCAPES_BASE');
  await reconfigure(workload.id, [{ ...VOLUME, source: 'links/which' }]);
  await refuses(workload, 'SOURCE_NOT_DIRECTORY');
  assert.deepEqual(readdirSync(outside), []);
});

test('“..” in a source, and what is no volume at all, do not get into the database', async () => {
  const workload = await captured('dots');
  for (const source of ['../dots', 'a/../../b', '/etc', '']) {
    const { status, body } = await reconfigure(workload.id, [{ ...VOLUME, source }]);
    assert.equal(status, 422, source);
    assert.equal(body.code, 'VALIDATION_FAILED');
    assert.ok(body.hint.length > 10);
  }
});

test('scopes that live with a container are refused by name, at the door', async () => {
  const workload = await captured('scopes');
  for (const scope of ['instance', 'ephemeral'] as const) {
    await reconfigure(workload.id, [{ ...VOLUME, scope, source: '' }]);
    for (const [path, headers] of [
      [
        `/api/workloads/${workload.id}/snapshots/${workload.snapshotId}/restore`,
        { 'x-confirm-restore': workload.name },
      ],
      [`/api/workloads/${workload.id}/snapshots`, {}],
    ] as const) {
      const { status, body } = await stack.call('POST', path, { body: {}, headers });
      assert.equal(status, 422);
      assert.equal(body.code, 'SCOPE_UNSUPPORTED');
      assert.match(body.detail, /data/);
    }
  }
});

test('volumes that overlap, and none that the snapshot has', async () => {
  const workload = await captured('overlap');
  mkdirSync(join(workload.live, 'inner'));
  await reconfigure(
    workload.id,
    [VOLUME, { ...VOLUME, source: 'overlap' }].map((volume, index) => ({
      ...volume,
      source: index === 0 ? 'overlap' : 'overlap/inner',
      name: index === 0 ? 'data' : 'inner',
      target: `/volumes/${index}`,
    })),
  );
  await refuses(workload, 'VOLUMES_OVERLAP');
  await reconfigure(workload.id, [{ ...VOLUME, name: 'renamed', source: 'overlap' }]);
  await refuses(workload, 'VOLUME_NOT_IN_SNAPSHOT');
});

test('an image that is gone from the host', async () => {
  const repo = `refloat-test-gone-${process.pid}`;
  const workload = await captured('image');
  const { body } = await stack.call('GET', `/api/workloads/${workload.id}`);
  const { id: _, version: __, createdAt: ___, updatedAt: ____, ...config } = body;
  await tagImage(engine.dockerHost, engine.image, repo, 'latest');
  await stack.call('PUT', `/api/workloads/${workload.id}`, { body: { ...config, image: `${repo}:latest` } });
  for (const one of (await engine.mine()).filter((each) => each.labels['refloat.workload'] === workload.id)) {
    await engine.engine.stop(one.id, 5);
    await engine.engine.remove(one.id);
  }
  await removeImage(engine.dockerHost, `${repo}:latest`);
  await refuses(workload, 'IMAGE_GONE');
});

test('a full disk', async () => {
  const disk = mountLoop('ext4', 96 * 1024 * 1024);
  try {
    await agent.stop();
    agent = await stack.startAgent({ REFLOAT_ALLOWED_ROOTS: disk.path });
    const live = join(disk.path, 'data');
    mkdirSync(live);
    writeFileSync(join(live, 'big'), Buffer.alloc(32 * 1024 * 1024, 1));
    const workload = await captured(live, 'absolute');
    writeFileSync(join(disk.path, 'filler'), Buffer.alloc(24 * 1024 * 1024, 2));
    await refuses(workload, 'DISK_FULL');
    assert.equal(statSync(join(disk.path, 'filler')).size, 24 * 1024 * 1024);
    for (const one of (await engine.mine()).filter((each) => each.labels['refloat.workload'] === workload.id)) {
      await engine.engine.stop(one.id, 5);
      await engine.engine.remove(one.id);
    }
  } finally {
    await agent.stop();
    agent = await stack.startAgent();
    disk.unmount();
  }
});

test('unknown workloads and snapshots, another workload’s snapshot, and a wrong confirmation', async () => {
  const [one, two] = [await captured('mine'), await captured('theirs')];
  const restore = (workload: string, snapshot: string, headers: Record<string, string>) =>
    stack.call('POST', `/api/workloads/${workload}/snapshots/${snapshot}/restore`, { headers });
  const expected = [
    [await restore(ELSEWHERE, one.snapshotId, { 'x-confirm-restore': one.name }), 404],
    [await restore(one.id, ELSEWHERE, { 'x-confirm-restore': one.name }), 404],
    [await restore(one.id, two.snapshotId, { 'x-confirm-restore': one.name }), 404],
    [await restore(one.id, one.snapshotId, {}), 428],
    [await restore(one.id, one.snapshotId, { 'x-confirm-restore': two.name }), 412],
  ] as const;
  for (const [{ status, body }, wanted] of expected) {
    assert.equal(status, wanted);
    assert.ok(body.code.length > 3 && body.hint.length > 10, JSON.stringify(body));
  }
});

test('no engine and no database: the commands end with exit code 2 or 1, a code and a hint', async () => {
  await agent.stop();
  try {
    const noEngine = await stack.agent(['run'], { DOCKER_HOST: 'unix:///nowhere/docker.sock' });
    assert.deepEqual([noEngine.code, noEngine.json.error.code], [2, 'ENGINE_UNAVAILABLE']);
    assert.ok(noEngine.json.error.hint.length > 10);
    const noDatabase = await stack.refloat(['migrate'], {
      REFLOAT_DATABASE_URL: 'postgres://u:secret@127.0.0.1:9/none',
    });
    assert.ok(noDatabase.code === 1 || noDatabase.code === 2);
    assert.equal(noDatabase.json.error.code, 'DATABASE_UNAVAILABLE');
    assert.ok(!JSON.stringify(noDatabase).includes('secret'), 'no password in what is printed');
  } finally {
    agent = await stack.startAgent();
  }
});
