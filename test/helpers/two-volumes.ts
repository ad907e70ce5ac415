/**
 * A deployed workload with two volumes and two snapshots of quite different trees, and the oracle that every crash is judged
 * by: all old or all new, the previous state somewhere, the same containers on the same image, nothing left behind.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkloadConfigInput } from '../../db/workload.ts';
import type { TestEngine } from './engine.ts';
import { fillVolume } from './fill-volume.ts';
import type { CommandEnd, Stack } from './stack.ts';
import { compareTrees, snapshotTree, type TreeSnapshot } from './tree.ts';

export type Version = 'one' | 'two';

export interface TwoVolumes {
  readonly id: string;
  readonly name: string;
  /** Live directories. */
  readonly live: readonly [string, string];
  readonly snapshots: Readonly<Record<Version, string>>;
  /** Which version both volumes hold, down to owners and nanoseconds; fails if they differ or hold anything else. */
  version(): Version;
  /** Asks for a restore; the id of the intent. */
  restore(version: Version): Promise<string>;
  /** Judges the host after a recovery; returns the version that is live. */
  judge(recovered: CommandEnd): Promise<Version>;
}

export async function twoVolumes(
  stack: Stack,
  engine: Pick<TestEngine, 'mine'>,
  config: Partial<WorkloadConfigInput> = {},
): Promise<TwoVolumes> {
  const { id, name } = await stack.createWorkload({
    volumes: [
      { name: 'first', scope: 'project', source: 'first', target: '/volumes/first' },
      { name: 'second', scope: 'stage', source: 'second', target: '/volumes/second' },
    ],
    restart: 'always',
    ...config,
  });
  const live = [join(stack.volumeBase, 'p', 'first'), join(stack.volumeBase, 'p', 'prod', 'second')] as const;
  const done = async (path: string, body?: unknown) => {
    const { status, body: intent } = await stack.call('POST', `/api/workloads/${id}/${path}`, { body: body ?? {} });
    assert.equal(status, 202, JSON.stringify(intent));
    const finished = await stack.finished(intent.id);
    assert.equal(finished.state, 'succeeded', JSON.stringify(finished.error));
    return finished;
  };
  await done('deploy');
  const trees: Partial<Record<Version, readonly [TreeSnapshot, TreeSnapshot]>> = {};
  const snapshots: Partial<Record<Version, string>> = {};
  for (const [version, files] of [
    ['one', 10],
    ['two', 25],
  ] as const) {
    for (const directory of live) fillVolume(directory, version, files);
    trees[version] = [snapshotTree(live[0]), snapshotTree(live[1])];
    snapshots[version] = (await done('snapshots')).result.snapshotId;
  }
  const { one, two } = trees;
  const { one: snapshotOne, two: snapshotTwo } = snapshots;
  assert.ok(one !== undefined && two !== undefined && snapshotOne !== undefined && snapshotTwo !== undefined);

  const matches = (version: Version, directories: readonly string[]) =>
    directories.every((directory, index) => {
      const expected = (version === 'one' ? one : two)[index];
      return expected !== undefined && compareTrees(expected, snapshotTree(directory)).length === 0;
    });
  const versionAt = (directories: readonly string[]): Version | null =>
    matches('one', directories) ? 'one' : matches('two', directories) ? 'two' : null;
  const [container] = (await engine.mine()).filter((one_) => one_.labels['refloat.workload'] === id);
  assert.ok(container !== undefined);

  const workload: TwoVolumes = {
    id,
    name,
    live,
    snapshots: { one: snapshotOne, two: snapshotTwo },
    version() {
      const found = versionAt(live);
      assert.ok(
        found !== null,
        `neither version: ${live
          .flatMap((directory, index) => compareTrees(one[index] ?? one[0], snapshotTree(directory)))
          .slice(0, 5)
          .join('; ')}`,
      );
      return found;
    },
    async restore(version) {
      const path = `/api/workloads/${id}/snapshots/${workload.snapshots[version]}/restore`;
      const { status, body } = await stack.call('POST', path, { headers: { 'x-confirm-restore': name } });
      assert.equal(status, 202, JSON.stringify(body));
      return body.id;
    },
    async judge(recovered) {
      assert.ok(
        recovered.code === 0 || recovered.code === 4,
        `recover ended with ${recovered.code}: ${JSON.stringify(recovered.json)} ${recovered.stderr}`,
      );
      const version = workload.version();
      const [now, ...others] = (await engine.mine()).filter((one_) => one_.labels['refloat.workload'] === id);
      assert.equal(others.length, 0, 'a second container of the workload');
      assert.equal(now?.state, 'running', `the container is ${now?.state}`);
      assert.equal(now?.imageId, container.imageId, 'another image');
      assert.equal(now?.restartPolicy.name, 'always', 'another restart policy');
      assert.equal(now?.id, container.id, 'another container');
      const status = await stack.agent(['status']);
      const held: { previous: string; there: boolean }[] = status.json.held;
      assert.ok(
        held.every((tree) => tree.there),
        'a held tree is gone',
      );
      assert.deepEqual(
        leftovers(live).filter((path) => !held.some((tree) => tree.previous === path)),
        [],
        'something was left behind',
      );
      return version;
    },
  };
  return workload;
}

/** Private trees beside the live directories. */
function leftovers(live: readonly string[]): string[] {
  return live.flatMap((directory) => {
    const parent = join(directory, '..');
    return readdirSync(parent)
      .filter((name) => name.startsWith('.refloat-'))
      .flatMap((name) => {
        const inside = readdirSync(join(parent, name));
        return inside.length === 0 ? [join(parent, name)] : inside.map((volume) => join(parent, name, volume));
      });
  });
}
