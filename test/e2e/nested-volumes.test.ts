/** Volumes of one workload that lie in one another, or are the same, through the whole product. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { WorkloadConfigInput } from '../../db/workload.ts';
import { testEngine } from '../helpers/engine.ts';
import { type Restorable, restorable } from '../helpers/restorable.ts';
import { type RunningAgent, startStack } from '../helpers/stack.ts';
import { compareTrees, snapshotTree } from '../helpers/tree.ts';

const NO_DATABASE = { REFLOAT_AGENT_DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:9/none' };

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

let made = 0;

type Volume = NonNullable<WorkloadConfigInput['volumes']>[number];

interface Nested {
  readonly workload: Restorable;
  readonly outer: string;
  readonly inner: string;
  readonly volumes: readonly [Volume, Volume];
}

/** The volume `inner` lies two directories deep in the volume `outer`; both are mounted, the inner one below the outer one. */
async function nested(): Promise<Nested> {
  const source = `case-${++made}/outer`;
  // The inner one is named first: neither names nor order decide.
  const volumes = [
    { name: 'inner', scope: 'project', source: `${source}/in/ner`, target: '/volumes/outer/in/ner' },
    { name: 'outer', scope: 'project', source, target: '/volumes/outer' },
  ] as const;
  const workload = await restorable(stack, { volumes: [...volumes] });
  const outer = join(stack.volumeBase, 'p', source);
  return { workload, outer, inner: join(outer, 'in', 'ner'), volumes };
}

/** Everything that tells one version from another, in both volumes, with times that a careless restore would move. */
const FILL = `set -e; cd "$1"; v=$2
  echo "outer $v" > which; echo "$v" > in/beside; echo "inner $v" > in/ner/which; ln -sf "/target/$v" in/ner/link
  mkdir -p "in/ner/only-$v" "only-$v"; setfattr -n user.v -v "$v" in/ner; chown "$3:$3" in/ner in; chmod "0$4" in/ner
  touch -h -d "@1$3.123456789" in/ner/link in/ner/which in/beside which; touch -d "@1$3.5" in/ner "in/ner/only-$v" "only-$v"
  touch -d "@1$3.25" in; touch -d "@1$3.75" .`;

function fill({ outer }: Nested, version: 'one' | 'two') {
  const [owner, mode] = version === 'one' ? ['40001', '750'] : ['50002', '705'];
  execFileSync('bash', ['--norc', '-c', FILL, 'bash', outer, version, owner, mode]);
  return snapshotTree(outer);
}

function leftBeside({ outer }: Nested): string[] {
  return readdirSync(join(outer, '..')).filter((name) => name.startsWith('.refloat-'));
}

test('both come back, undo and redo give each back, and one exchange does it', async () => {
  const place = await nested();
  const { workload, outer } = place;
  const one = fill(place, 'one');
  const snapshot = await workload.capture();
  assert.deepEqual(compareTrees(one, snapshotTree(outer)), [], 'a capture leaves no trace in the outer tree');
  rmSync(join(outer, 'only-one'), { recursive: true });
  const two = fill(place, 'two');

  const restore = await workload.restored(snapshot);
  assert.deepEqual(compareTrees(one, snapshotTree(outer)), []);
  const undo = await workload.undo(restore.id);
  assert.deepEqual(compareTrees(two, snapshotTree(outer)), []);
  const redo = await workload.undo(undo.id);
  assert.deepEqual(compareTrees(one, snapshotTree(outer)), []);
  // Once the previous tree is gone, the pre-restore snapshot gives both back, too.
  rmSync(redo.result.held[0].previous, { recursive: true });
  await workload.undo(redo.id);
  assert.deepEqual(compareTrees(two, snapshotTree(outer)), []);
});

test('the outer archive is complete by itself, and the inner one counts at its place', async () => {
  const place = await nested();
  const { workload, inner, volumes } = place;
  fill(place, 'one');
  // Captured while the inner volume was elsewhere: the outer archive has something else where the inner one lies now.
  const elsewhere = `elsewhere-${made}`;
  mkdirSync(join(stack.volumeBase, 'p', elsewhere));
  writeFileSync(join(stack.volumeBase, 'p', elsewhere, 'which'), 'from the inner archive');
  await workload.change({ volumes: [{ ...volumes[0], source: elsewhere }, volumes[1]] });
  const snapshot = await workload.capture();
  await workload.change({ volumes: [...volumes] });
  fill(place, 'two');
  await workload.restored(snapshot);
  assert.equal(readFileSync(join(inner, 'which'), 'utf8'), 'from the inner archive');
  assert.deepEqual(readdirSync(inner), ['which']);
  const listing = execFileSync(
    'bash',
    ['--norc', '-c', 'zstd -dc "$1"/outer.tar.zst | tar -t', 'bash', join(stack.stateDir, 'snapshots', snapshot)],
    { encoding: 'utf8' },
  );
  assert.match(listing, /in\/ner\/which/);
});

test('an inner directory that was lost comes back; undo leaves it empty, as it does for any volume', async () => {
  const place = await nested();
  const { workload, outer, inner } = place;
  const one = fill(place, 'one');
  const snapshot = await workload.capture();
  rmSync(join(outer, 'in'), { recursive: true });
  const restore = await workload.restored(snapshot);
  assert.deepEqual(compareTrees(one, snapshotTree(outer)), []);
  await workload.undo(restore.id);
  assert.deepEqual(readdirSync(inner), []);
});

test('killed around the exchange both are old or both are new, and nothing is left behind', async () => {
  const place = await nested();
  const { workload, outer } = place;
  const one = fill(place, 'one');
  const snapshot = await workload.capture();
  const two = fill(place, 'two');
  await agent.stop();
  const points = [
    ['journal-after:done:stage#1', two],
    ['journal-before:commit#1', two],
    ['journal-after:commit#1', one],
    ['exchange#1', one],
    ['swap-after:outer#1', one],
  ] as const;
  for (const [point, expected] of points) {
    const killed = await stack.startAgent({ REFLOAT_CRASH_AT: point });
    const id = await workload.begin(snapshot);
    const { signal } = await killed.exited;
    assert.equal(signal, 'SIGKILL', `${point} was not reached: ${killed.log()}`);
    const recovered = await stack.agent(['recover'], NO_DATABASE);
    assert.ok(recovered.code === 0 || recovered.code === 4, `${point}: ${recovered.code} ${recovered.stderr}`);
    assert.deepEqual(compareTrees(expected, snapshotTree(outer)), [], point);
    assert.equal(leftBeside(place).length, expected === one ? 1 : 0, point);
    agent = await stack.startAgent();
    await stack.finished(id);
    if (expected === one) await workload.undo(id);
    assert.deepEqual(compareTrees(two, snapshotTree(outer)), [], point);
    if (expected === one) {
      for (const name of leftBeside(place)) rmSync(join(outer, '..', name), { recursive: true });
    }
    await agent.stop();
  }
  agent = await stack.startAgent();
});

test('a link in the outer archive where the inner volume lies is never followed', async () => {
  const place = await nested();
  const { workload, outer, volumes } = place;
  const elsewhere = `elsewhere-${made}`;
  mkdirSync(join(stack.volumeBase, 'p', elsewhere));
  await workload.change({ volumes: [{ ...volumes[0], source: elsewhere }, volumes[1]] });
  const outside = join(stack.allowedRoot, `outside-${made}`);
  mkdirSync(join(outside, 'ner'), { recursive: true });
  writeFileSync(join(outside, 'ner', 'precious'), 'x');
  renameSync(join(outer, 'in'), join(outer, 'kept'));
  symlinkSync(outside, join(outer, 'in'));
  const snapshot = await workload.capture();
  rmSync(join(outer, 'in'));
  renameSync(join(outer, 'kept'), join(outer, 'in'));
  await workload.change({ volumes: [...volumes] });
  const restore = await workload.restore(snapshot);
  assert.deepEqual(
    [restore.state, restore.error.code, restore.error.step],
    ['rolled_back', 'VOLUMES_OVERLAP', 'stage'],
  );
  assert.deepEqual(readdirSync(join(outside, 'ner')), ['precious']);
  assert.deepEqual(leftBeside(place), []);
});

test('a restore of only one of the two is refused, and names the other', async () => {
  const place = await nested();
  const { workload, outer, inner, volumes } = place;
  fill(place, 'one');
  const both = await workload.capture();
  await workload.change({ volumes: [volumes[1]] });
  const alone = await workload.capture();
  await workload.change({ volumes: [...volumes] });
  const two = fill(place, 'two');
  const refused = await workload.restore(alone);
  assert.deepEqual([refused.state, refused.error.code], ['failed', 'VOLUMES_OVERLAP']);
  assert.deepEqual(refused.error.details.missing, 'inner');
  const plan = await workload.plan(alone);
  assert.deepEqual([plan.ok, plan.refusals[0].code], [false, 'VOLUMES_OVERLAP']);
  assert.deepEqual(compareTrees(two, snapshotTree(outer)), []);
  const planned = await workload.plan(both);
  assert.deepEqual(
    planned.targets.map((target: { volume: string; within: string | null }) => [target.volume, target.within]),
    [
      ['outer', null],
      ['inner', 'outer'],
    ],
  );
  assert.ok(existsSync(inner));
});

test('one directory under two names is refused by capture and restore', async () => {
  const source = `same-${++made}`;
  const volumes = [
    { name: 'a', scope: 'project', source, target: '/volumes/a' },
    { name: 'b', scope: 'project', source: `link-${made}`, target: '/volumes/b' },
  ] as const;
  const workload = await restorable(stack, { volumes: [...volumes] });
  const snapshot = await workload.capture();
  const link = join(stack.volumeBase, 'p', `link-${made}`);
  rmSync(link, { recursive: true });
  symlinkSync(join(stack.volumeBase, 'p', source), link);
  for (const path of ['snapshots', `snapshots/${snapshot}/restore`]) {
    const refused = await workload.post(path);
    assert.deepEqual([refused.state, refused.error.code], ['failed', 'VOLUMES_OVERLAP'], path);
  }
});
