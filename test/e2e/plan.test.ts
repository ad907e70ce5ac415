/** The plan of a restore: what `refloat plan` says before anything is touched, and that it holds. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { removeImage, tagImage } from '../helpers/docker-cli.ts';
import { testEngine } from '../helpers/engine.ts';
import { buildImage } from '../helpers/image.ts';
import { restorable } from '../helpers/restorable.ts';
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

test('it says what changes, what stops, which image runs and for how long it is down; and does nothing', async () => {
  const repo = `refloat-test-planned-${process.pid}`;
  await tagImage(engine.dockerHost, engine.image, repo, 'latest');
  const volumes = [{ name: 'data', scope: 'project' as const, source: 'planned', target: '/volumes/data' }];
  const workload = await restorable(stack, { image: `${repo}:latest`, volumes });
  const live = join(stack.volumeBase, 'p', 'planned');
  for (const name of ['kept', 'lost', 'changed']) writeFileSync(join(live, name), name);
  const snapshot = await workload.capture();
  rmSync(join(live, 'lost'));
  writeFileSync(join(live, 'changed'), 'otherwise');
  mkdirSync(join(live, 'new'));
  const newer = await buildImage(engine.dockerHost, {
    name: `${repo}-newer`,
    binaries: ['sh'],
    files: { '/app': '#!/bin/sh\nexit 1\n' },
    command: ['/app'],
  });
  await tagImage(engine.dockerHost, newer, repo, 'latest');
  const tree = snapshotTree(live);
  const [container] = (await engine.mine()).filter((one) => one.labels['refloat.workload'] === workload.id);

  const ended = await stack.refloat(['plan', workload.name, snapshot]);
  assert.equal(ended.code, 0, ended.stderr);
  const { plan } = ended.json.intent.result;
  const [target] = plan.targets;
  assert.deepEqual(target.difference.added, { count: 1, names: ['lost'] });
  assert.deepEqual(target.difference.changed, { count: 1, names: ['changed'] });
  assert.deepEqual(target.difference.removed, { count: 1, names: ['new'] });
  assert.equal(target.difference.complete, true);
  assert.deepEqual(
    plan.containers.map((one: { id: string; state: string }) => [one.id, one.state]),
    [[container?.id, 'running']],
  );
  assert.equal(plan.image.id, container?.imageId);
  assert.notEqual(plan.image.referenceId, plan.image.id, 'the tag has moved');
  assert.deepEqual([plan.image.captured.id, plan.image.movedSinceCapture], [container?.imageId, false]);
  assert.deepEqual(plan.downtime, { estimateMs: null, measuredAt: null, stopTimeoutMs: 5000 });
  assert.ok(plan.fileSystems[0].bytesNeeded > 0 && plan.fileSystems[0].inodesFree > 0);
  assert.deepEqual(compareTrees(tree, snapshotTree(live)), []);
  assert.equal((await engine.engine.inspect(container?.id ?? ''))?.startedAt, container?.startedAt);

  const restore = await workload.restored(snapshot);
  const again = await workload.plan(snapshot);
  assert.equal(again.downtime.estimateMs, restore.result.downtimeMs);
  assert.ok(again.downtime.measuredAt !== null);
  const [now] = again.targets;
  assert.deepEqual(
    [now.difference.added.count, now.difference.changed.count, now.difference.removed.count],
    [0, 0, 0],
    'what it announced is what was done',
  );
  await removeImage(engine.dockerHost, newer);
});

test('a plan that says no names every reason and ends with 3', async () => {
  const volumes = [{ name: 'data', scope: 'project' as const, source: 'refused', target: '/volumes/data' }];
  const workload = await restorable(stack, { volumes });
  const snapshot = await workload.capture();
  const live = join(stack.volumeBase, 'p', 'refused');
  const other = await engine.create({
    name: `planned-reader-${process.pid}`,
    mounts: [{ type: 'bind', source: live, target: '/x', readOnly: true }],
  });
  await engine.engine.start(other);
  const ended = await stack.refloat(['plan', workload.name, snapshot]);
  assert.deepEqual([ended.code, ended.json.ok, ended.json.error.code], [3, false, 'VOLUME_SHARED']);
  assert.equal(ended.json.intent.result.plan.targets[0].difference, null, 'nothing is compared for a no');
});
