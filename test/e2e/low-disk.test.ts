/** A disk that runs low ends the hold of a previous tree early, and an undo goes through its snapshot then. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { testEngine } from '../helpers/engine.ts';
import { waitFor } from '../helpers/host.ts';
import { mountLoop } from '../helpers/loop-fs.ts';
import { restorable } from '../helpers/restorable.ts';
import { type RunningAgent, startStack } from '../helpers/stack.ts';
import { compareTrees, snapshotTree } from '../helpers/tree.ts';

const MIB = 1024 * 1024;

const engine = await testEngine();
engine.removeAllAtEnd();
const loop = mountLoop('ext4', 144 * MIB);
const stack = await startStack(engine);
const root = loop.path;
const ROOTS = { REFLOAT_ALLOWED_ROOTS: root };
let agent: RunningAgent;
before(async () => {
  agent = await stack.startAgent(ROOTS);
});
after(async () => {
  await agent.stop();
  await engine.removeAll();
  loop.unmount();
});

const MIB_OF_DATA = 12;

async function workloadWithData(name: string) {
  const live = join(root, name);
  mkdirSync(live);
  const volumes = [{ name: 'data', scope: 'absolute' as const, source: live, target: '/volumes/data' }];
  const workload = await restorable(stack, { volumes });
  const write = (version: string) => {
    execFileSync('bash', [
      '--norc',
      '-c',
      'head -c "$2"M /dev/urandom > "$1"/data; echo "$3" > "$1"/which',
      'bash',
      live,
      String(MIB_OF_DATA),
      version,
    ]);
    return snapshotTree(live);
  };
  return { workload, live, write };
}

let fillers = 0;

/** Leaves that many MiB free. */
function fillUp(leave: number): string {
  const filler = join(root, `filler-${++fillers}`);
  const { bavail, bsize } = statfsSync(root);
  execFileSync('fallocate', ['-l', String(bavail * bsize - leave * MIB), filler]);
  return filler;
}

async function restarted(): Promise<void> {
  await agent.stop();
  agent = await stack.startAgent(ROOTS);
}

test('the hold ends early, only for as many as it takes; status and an event say so, and undo restores the snapshot', async () => {
  const { workload, live, write } = await workloadWithData('early');
  const one = write('one');
  const snapshot = await workload.capture();
  const two = write('two');
  const restore = await workload.restored(snapshot);
  const [held] = restore.result.held;
  await restarted();
  assert.ok(existsSync(held.previous), 'there is room: it stays');
  const filler = fillUp(4);
  await restarted();
  await waitFor(
    () => existsSync(held.previous),
    (there) => !there,
    60_000,
  );
  rmSync(filler);
  const { json } = await stack.agent(['status']);
  const journal = json.journals.find((each: { intentId: string }) => each.intentId === restore.id);
  assert.equal(journal.released, 'low-disk');
  await waitFor(
    async () =>
      (
        await fetch(new URL(`/api/intents/${restore.id}/events`, stack.url), {
          headers: { authorization: `Bearer ${stack.token}` },
        })
      ).text(),
    (events) => events.includes('HOLD_ENDED_EARLY'),
    60_000,
  );
  assert.deepEqual(compareTrees(one, snapshotTree(live)), []);
  const undo = await workload.undo(restore.id);
  assert.deepEqual(compareTrees(two, snapshotTree(live)), []);
  assert.match(undo.result.warnings.join(), /given up early because the disk ran low/);
});

test('a previous tree whose snapshot is damaged is the last copy, and stays on the fullest disk', async () => {
  const { workload, write } = await workloadWithData('last');
  write('one');
  const snapshot = await workload.capture();
  write('two');
  const restore = await workload.restored(snapshot);
  const [held] = restore.result.held;
  const archive = join(restore.result.preRestoreSnapshotPath, 'data.tar.zst');
  truncateSync(archive, 100);
  const filled: string[] = [];
  // What the test before holds is given up first; that may be enough.
  for (const until = Date.now() + 120_000; !agent.log().includes('the previous tree is the last copy'); ) {
    assert.ok(Date.now() < until, agent.log());
    const { bavail, bsize } = statfsSync(root);
    if (bavail * bsize > 5 * MIB) filled.push(fillUp(4));
    await restarted();
    await waitFor(
      () => agent.log(),
      (log) => log.includes('low disk'),
      60_000,
    );
  }
  assert.ok(existsSync(held.previous));
  for (const filler of filled) rmSync(filler);
  await workload.undo(restore.id);
});

test('a restore that has no room first gives up what its workload holds from before, and says so', async () => {
  const { workload, live, write } = await workloadWithData('room');
  const one = write('one');
  const snapshot = await workload.capture();
  write('two');
  const first = await workload.restored(snapshot);
  const [held] = first.result.held;
  // Room for the new tree only once the old one is gone, and yet above the reserve meanwhile.
  const filler = fillUp(MIB_OF_DATA + 4);
  writeFileSync(join(live, 'which'), 'three');
  const plan = await workload.plan(snapshot);
  assert.deepEqual([plan.ok, existsSync(held.previous)], [true, true]);
  assert.match(plan.warnings.join(), new RegExp(`given up, of ${first.id}`));
  const again = await workload.restored(snapshot);
  assert.ok(!existsSync(held.previous));
  assert.match(again.result.warnings.join(), new RegExp(`the intent ${first.id} held was given up`));
  assert.deepEqual(compareTrees(one, snapshotTree(live)), []);
  rmSync(filler);
});

test('a restore for which that would not make the room either gives nothing up', async () => {
  const { workload, live, write } = await workloadWithData('refused');
  write('one');
  const snapshot = await workload.capture();
  truncateSync(join(live, 'data'), MIB);
  const first = await workload.restored(snapshot);
  const [held] = first.result.held;
  const filler = fillUp(MIB_OF_DATA);
  const plan = await workload.plan(snapshot);
  assert.deepEqual([plan.ok, plan.refusals[0].code], [false, 'DISK_FULL']);
  const again = await workload.restore(snapshot);
  assert.deepEqual([again.state, again.error.code], ['failed', 'DISK_FULL']);
  assert.ok(existsSync(held.previous));
  rmSync(filler);
});
