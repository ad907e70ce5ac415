/** Restores and undos through the whole product, as users run it: `refloat up`, `refloat-agent run`, a real engine. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { WorkloadConfigInput } from '../../db/workload.ts';
import { removeImage, tagImage } from '../helpers/docker-cli.ts';
import { testEngine } from '../helpers/engine.ts';
import { buildImage } from '../helpers/image.ts';
import { type RunningAgent, startStack } from '../helpers/stack.ts';
import { compareTrees, snapshotTree } from '../helpers/tree.ts';

const engine = await testEngine();
engine.removeAllAtEnd();
const stack = await startStack(engine);
let agent: RunningAgent;
before(async () => {
  agent = await stack.startAgent();
});
after(async () => {
  await agent.stop();
});

const VOLUME = { name: 'data', scope: 'project', target: '/volumes/data' } as const;
let made = 0;

/** A deployed workload with one volume that holds a file `which` = old; what it was captured with is `captured`. */
async function running(config: Partial<WorkloadConfigInput> = {}) {
  const source = `data-${++made}`;
  const { id, name } = await stack.createWorkload({ volumes: [{ ...VOLUME, source }], ...config });
  const post = async (path: string, headers: Record<string, string> = {}) => {
    const { status, body } = await stack.call('POST', path, {
      body: {},
      headers: { 'x-confirm-restore': name, ...headers },
    });
    assert.equal(status, 202, JSON.stringify(body));
    return stack.finished(body.id);
  };
  const succeed = async (path: string) => {
    const finished = await post(path);
    assert.equal(finished.state, 'succeeded', JSON.stringify(finished.error));
    return finished;
  };
  const live = join(stack.volumeBase, 'p', source);
  await succeed(`/api/workloads/${id}/deploy`);
  return {
    id,
    name,
    live,
    which: () => readFileSync(join(live, 'which'), 'utf8'),
    write: (text: string) => writeFileSync(join(live, 'which'), text),
    containers: async () => (await engine.mine()).filter((one) => one.labels['refloat.workload'] === id),
    capture: async () => (await succeed(`/api/workloads/${id}/snapshots`)).result.snapshotId as string,
    restore: (snapshot: string) => post(`/api/workloads/${id}/snapshots/${snapshot}/restore`),
    restored: (snapshot: string) => succeed(`/api/workloads/${id}/snapshots/${snapshot}/restore`),
    undo: (intent: string) => succeed(`/api/intents/${intent}/undo`),
    change: async (more: Partial<WorkloadConfigInput>) => {
      const { body } = await stack.call('GET', `/api/workloads/${id}`);
      const { id: _, version: __, createdAt: ___, updatedAt: ____, ...known } = body;
      const { status, body: answer } = await stack.call('PUT', `/api/workloads/${id}`, {
        body: { ...(known.config ?? known), ...more },
      });
      assert.equal(status, 200, JSON.stringify(answer));
    },
  };
}

test('the data comes back, the state before is kept as a snapshot and held, undo and redo give each back', async () => {
  const workload = await running();
  workload.write('good');
  const good = snapshotTree(workload.live);
  const snapshot = await workload.capture();
  workload.write('destroyed');
  rmSync(join(workload.live, 'nothing'), { force: true });
  const destroyed = snapshotTree(workload.live);
  const [container] = await workload.containers();

  const restore = await workload.restored(snapshot);
  assert.deepEqual(compareTrees(good, snapshotTree(workload.live)), []);
  const kept = restore.result.preRestoreSnapshotPath;
  assert.equal((await stack.agent(['verify', kept])).code, 0);
  assert.ok(restore.result.downtimeMs > 0 && Date.parse(restore.result.undoUntil) > Date.now());
  assert.deepEqual(
    restore.result.steps.map((step: { name: string }) => step.name),
    ['preflight', 'check_disk', 'stage', 'quiesce', 'swap', 'redeploy', 'health', 'preserve', 'cleanup'],
  );
  const { body: listed } = await stack.call('GET', `/api/workloads/${workload.id}/snapshots`);
  assert.ok(
    JSON.stringify(listed).includes(restore.result.preRestoreSnapshotId),
    'the pre-restore snapshot is registered',
  );

  const undo = await workload.undo(restore.id);
  assert.deepEqual(compareTrees(destroyed, snapshotTree(workload.live)), []);
  await workload.undo(undo.id);
  assert.deepEqual(compareTrees(good, snapshotTree(workload.live)), []);
  const [now] = await workload.containers();
  assert.equal(now?.id, container?.id, 'the same container all along');
});

test('the same version comes back by image id, although its tag points elsewhere by now', async () => {
  const repo = `refloat-test-moving-${process.pid}`;
  await tagImage(engine.dockerHost, engine.image, repo, 'latest');
  const workload = await running({ image: `${repo}:latest` });
  const [before_] = await workload.containers();
  const snapshot = await workload.capture();
  const newer = await buildImage(engine.dockerHost, {
    name: `${repo}-newer`,
    binaries: ['sh'],
    files: { '/app': '#!/bin/sh\nexit 1\n' },
    command: ['/app'],
  });
  await tagImage(engine.dockerHost, newer, repo, 'latest');
  // The container is gone too, so that it must be made anew: from the recorded image, not from the tag.
  const restore = await workload.restored(snapshot);
  assert.equal(restore.result.imageId, before_?.imageId);
  assert.deepEqual(
    (await workload.containers()).map((one) => [one.imageId, one.state]),
    [[before_?.imageId, 'running']],
  );
  await removeImage(engine.dockerHost, newer);
});

test('a changed configuration recreates the containers on the image that they ran', async () => {
  const workload = await running();
  const [before_] = await workload.containers();
  const snapshot = await workload.capture();
  await workload.change({ env: { ADDED: 'later' } });
  const restore = await workload.restored(snapshot);
  assert.equal(restore.result.recreated, true);
  const [now, ...others] = await workload.containers();
  assert.equal(others.length, 0);
  assert.notEqual(now?.id, before_?.id);
  assert.equal(now?.imageId, before_?.imageId);
  assert.equal(now?.name, before_?.name);
});

test('targets come from the current configuration, not from the manifest', async () => {
  const workload = await running();
  workload.write('good');
  const snapshot = await workload.capture();
  workload.write('stays');
  const moved = `moved-${made}`;
  mkdirSync(join(stack.volumeBase, 'p', moved));
  await workload.change({ volumes: [{ ...VOLUME, source: moved }] });
  await workload.restored(snapshot);
  assert.equal(workload.which(), 'stays');
  assert.equal(readFileSync(join(stack.volumeBase, 'p', moved, 'which'), 'utf8'), 'good');
});

test('a restore that does not come up healthy takes itself back, and says why', async () => {
  const workload = await running({
    env: { FAIL_IF: '/volumes/data/poison' },
    health: { graceSeconds: 3, timeoutSeconds: 10 },
    restart: 'no',
  });
  workload.write('old');
  await engine.engine.stop((await workload.containers())[0]?.id ?? '', 5);
  writeFileSync(join(workload.live, 'poison'), '');
  const poisoned = await workload.capture();
  rmSync(join(workload.live, 'poison'));
  await engine.engine.start((await workload.containers())[0]?.id ?? '');
  const before_ = snapshotTree(workload.live);
  const names = readdirSync(join(workload.live, '..'));

  const restore = await workload.restore(poisoned);
  assert.equal(restore.state, 'rolled_back');
  assert.equal(restore.error.code, 'UNHEALTHY');
  assert.equal(restore.error.step, 'health');
  assert.match(restore.error.message, /poison exists/);
  assert.deepEqual(compareTrees(before_, snapshotTree(workload.live)), []);
  assert.deepEqual(
    (await workload.containers()).map((one) => one.state),
    ['running'],
  );
  assert.deepEqual(readdirSync(join(workload.live, '..')), names, 'nothing is left beside the live directory');
});

test('a container that was stopped before stays stopped', async () => {
  const workload = await running({ replicas: 2 });
  const snapshot = await workload.capture();
  const [first, second] = await workload.containers();
  await engine.engine.stop(second?.id ?? '', 5);
  await workload.restored(snapshot);
  const states = new Map((await workload.containers()).map((one) => [one.id, one.state]));
  assert.equal(states.get(first?.id ?? ''), 'running');
  assert.equal(states.get(second?.id ?? ''), 'exited');
});

test('a directory that was lost together with its parent comes back', async () => {
  const workload = await running({ volumes: [{ ...VOLUME, source: 'deep/er/data' }] });
  const live = join(stack.volumeBase, 'p', 'deep', 'er', 'data');
  writeFileSync(join(live, 'which'), 'good');
  const good = snapshotTree(live);
  const snapshot = await workload.capture();
  renameSync(join(stack.volumeBase, 'p', 'deep'), join(stack.volumeBase, 'p', `lost-${made}`));
  const restore = await workload.restored(snapshot);
  assert.deepEqual(compareTrees(good, snapshotTree(live)), []);
  assert.deepEqual(
    (await workload.containers()).map((one) => one.state),
    ['running'],
  );
  await workload.undo(restore.id);
  assert.deepEqual(readdirSync(live), []);
});

test('a volume that is a mount point is restored and undone in place', async () => {
  const mountPoint = join(stack.allowedRoot, 'mounted');
  mkdirSync(mountPoint);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', mountPoint]);
  try {
    const workload = await running({ volumes: [{ ...VOLUME, scope: 'absolute', source: mountPoint }] });
    const visible = () => new Map([...snapshotTree(mountPoint)].filter(([name]) => !name.startsWith('.refloat-')));
    execFileSync('bash', [
      '--norc',
      '-c',
      'cd "$1"; echo good > which; mkdir -p a/b; ln -s x link; chown 5:6 .; chmod 0710 .; touch -d @1500000000.5 .',
      'bash',
      mountPoint,
    ]);
    const good = visible();
    const snapshot = await workload.capture();
    execFileSync('bash', [
      '--norc',
      '-c',
      'cd "$1"; echo bad > which; rm -r a; echo more > more; chown 0:0 .; touch -d @1600000000.5 .',
      'bash',
      mountPoint,
    ]);
    const bad = visible();
    const restore = await workload.restored(snapshot);
    assert.deepEqual(compareTrees(good, visible()), []);
    const again = await workload.capture();
    const listing = execFileSync(
      'bash',
      ['--norc', '-c', 'zstd -dc "$1"/data.tar.zst | tar -t', 'bash', join(stack.stateDir, 'snapshots', again)],
      { encoding: 'utf8' },
    );
    assert.ok(!listing.includes('.refloat-'), 'the held tree is not captured as the volume’s');
    const undo = await workload.undo(restore.id);
    assert.deepEqual(compareTrees(bad, visible()), []);
    // A capture while a previous tree is held inside the mount point has the volume's own data only.
    await workload.restored(again);
    assert.deepEqual(compareTrees(good, visible()), []);
    assert.ok(undo.result.held.length === 1);
    for (const { id } of await workload.containers()) await engine.engine.stop(id, 5);
  } finally {
    execFileSync('umount', ['-l', mountPoint]);
  }
});

test('another container on the volume is refused by name, and stopped and started too when the volume is shared', async () => {
  const workload = await running();
  workload.write('good');
  const snapshot = await workload.capture();
  workload.write('bad');
  const other = await engine.create({
    name: `reader-${process.pid}`,
    mounts: [{ type: 'bind', source: workload.live, target: '/volumes/x', readOnly: true }],
  });
  await engine.engine.start(other);
  const refused = await workload.restore(snapshot);
  assert.equal(refused.state, 'failed');
  assert.equal(refused.error.code, 'VOLUME_SHARED');
  assert.match(refused.error.message, new RegExp(`reader-${process.pid}`));
  assert.equal(workload.which(), 'bad');

  const source = workload.live.split('/').at(-1) ?? '';
  await workload.change({ volumes: [{ ...VOLUME, source, shared: true }] });
  const started = (await engine.engine.inspect(other))?.startedAt;
  await workload.restored(snapshot);
  assert.equal(workload.which(), 'good');
  const now = await engine.engine.inspect(other);
  assert.equal(now?.state, 'running');
  assert.notEqual(now?.startedAt, started, 'it was restarted, so it mounts the new directory');
});

test('what a capture leaves out is named', async () => {
  const workload = await running();
  execFileSync('mkfifo', [join(workload.live, 'pipe')]);
  const { body } = await stack.call('POST', `/api/workloads/${workload.id}/snapshots`, { body: {} });
  const capture = await stack.finished(body.id);
  assert.deepEqual(capture.result.skipped, [{ path: 'pipe', reason: 'fifo', volume: 'data' }]);
});

test('after the undo window the previous tree goes, and undo restores the pre-restore snapshot', async () => {
  await agent.stop();
  agent = await stack.startAgent({ REFLOAT_UNDO_WINDOW_SECONDS: '1' });
  const workload = await running();
  workload.write('good');
  const snapshot = await workload.capture();
  workload.write('bad');
  const bad = snapshotTree(workload.live);
  const restore = await workload.restored(snapshot);
  const [held] = restore.result.held;
  await agent.stop();
  await delay(1000);
  agent = await stack.startAgent({ REFLOAT_UNDO_WINDOW_SECONDS: '1' });
  for (const deadline = Date.now() + 60_000; existsSync(held.previous); await delay(50))
    assert.ok(Date.now() < deadline, 'the held tree stays');
  const undo = await workload.undo(restore.id);
  assert.deepEqual(compareTrees(bad, snapshotTree(workload.live)), []);
  assert.ok(undo.result.steps.find((step: { name: string }) => step.name === 'stage'));
});

test('a container that something else started is the workload’s when it has its name and its volumes', async () => {
  const source = `data-${++made}`;
  const live = join(stack.volumeBase, 'p', source);
  mkdirSync(live, { recursive: true });
  const { id, name } = await stack.createWorkload({ volumes: [{ ...VOLUME, source }] });
  const container = await engine.create({
    name,
    mounts: [{ type: 'bind', source: live, target: '/volumes/data', readOnly: false }],
    restartPolicy: { name: 'unless-stopped', maximumRetryCount: 0 },
  });
  await engine.engine.start(container);
  const post = async (path: string) => {
    const { body } = await stack.call('POST', path, { body: {}, headers: { 'x-confirm-restore': name } });
    const finished = await stack.finished(body.id);
    assert.equal(finished.state, 'succeeded', JSON.stringify(finished.error));
    return finished;
  };
  writeFileSync(join(live, 'which'), 'good');
  const { snapshotId } = (await post(`/api/workloads/${id}/snapshots`)).result;
  writeFileSync(join(live, 'which'), 'bad');
  const started = (await engine.engine.inspect(container))?.startedAt;
  await post(`/api/workloads/${id}/snapshots/${snapshotId}/restore`);
  assert.equal(readFileSync(join(live, 'which'), 'utf8'), 'good');
  const now = await engine.engine.inspect(container);
  assert.deepEqual(
    [now?.state, now?.restartPolicy.name, now?.startedAt === started],
    ['running', 'unless-stopped', false],
  );
});
