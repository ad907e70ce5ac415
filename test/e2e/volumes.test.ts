/** Volumes as they are in the field: how they are named, reached, owned and mounted. Restores and undos through the whole product. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { testEngine } from '../helpers/engine.ts';
import { mountLoop } from '../helpers/loop-fs.ts';
import { type Restorable, restorable } from '../helpers/restorable.ts';
import { type RunningAgent, startStack } from '../helpers/stack.ts';
import { compareTrees, snapshotTree } from '../helpers/tree.ts';

const NO_DATABASE = { REFLOAT_AGENT_DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:9/none' };
const MIB = 1024 * 1024;

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

/** Two versions that differ in everything that a directory tree has, the root's own owner, mode, time and xattrs included. */
const FILL = `set -e; cd "$1"; v=$2; n=$3
  find . -mindepth 1 -delete; mkdir -p dir/deep; echo "$v" > which; ln which hard; ln -s "/nowhere/$v" link; truncate -s 1M sparse; echo end >> sparse
  setfattr -n user.file -v "$v" which; chown 123:456 dir; chmod 2711 dir; setfattr -n user.root -v "$v" .; setfacl -m u:12345:rx .
  chown "$n:$n" .; chmod "1$n" .; touch -h -d "@1234567$n.5" link; touch -d "@1234567$n.123456789" which; touch -d "@1234567$n.25" dir .`;

function fill(directory: string, version: 'one' | 'two') {
  execFileSync('bash', ['--norc', '-c', FILL, 'bash', directory, version, version === 'one' ? '710' : '755']);
  return snapshotTree(directory);
}

/** Restores `one` over `two`, undoes and redoes it; each time all of it is as it was. */
async function givesBack(workload: Restorable, live: string): Promise<void> {
  const one = fill(live, 'one');
  const snapshot = await workload.capture();
  const two = fill(live, 'two');
  assert.notDeepEqual(compareTrees(one, two), []);
  const restore = await workload.restored(snapshot);
  assert.deepEqual(compareTrees(one, snapshotTree(live)), []);
  const [fidelity] = restore.result.fidelity;
  assert.deepEqual(fidelity.found, fidelity.expected);
  assert.deepEqual(fidelity.same, { owners: true, modes: true, times: true, linkTargets: true });
  const undo = await workload.undo(restore.id);
  assert.deepEqual(compareTrees(two, snapshotTree(live)), []);
  await workload.undo(undo.id);
  assert.deepEqual(compareTrees(one, snapshotTree(live)), []);
}

const absolute = (source: string) => [{ name: 'data', scope: 'absolute' as const, source, target: '/volumes/data' }];

for (const [type, bytes] of [
  ['xfs', 320 * MIB],
  ['btrfs', 320 * MIB],
] as const) {
  test(`on ${type}`, async (t) => {
    const loop = mountLoop(type, bytes);
    const root = join(stack.allowedRoot, type);
    mkdirSync(root);
    execFileSync('mount', ['--bind', loop.path, root]);
    t.after(async () => {
      await engine.removeAll();
      execFileSync('umount', [root]);
      loop.unmount();
    });
    mkdirSync(join(root, 'data'));
    await givesBack(await restorable(stack, { volumes: absolute(join(root, 'data')) }), join(root, 'data'));
  });
}

test('a btrfs subvolume, whose directory is the root of a tree of its own', async (t) => {
  const loop = mountLoop('btrfs', 320 * MIB);
  const root = join(stack.allowedRoot, 'subvolumes');
  mkdirSync(root);
  execFileSync('mount', ['--bind', loop.path, root]);
  t.after(async () => {
    await engine.removeAll();
    execFileSync('umount', [root]);
    loop.unmount();
  });
  const live = join(root, 'data');
  execFileSync('btrfs', ['subvolume', 'create', live], { stdio: 'ignore' });
  await givesBack(await restorable(stack, { volumes: absolute(live) }), live);
});

test('reached through a symbolic link, which stays; the directory behind it is what changes places', async () => {
  const behind = join(stack.allowedRoot, 'behind', 'data');
  mkdirSync(behind, { recursive: true });
  symlinkSync(join(stack.allowedRoot, 'behind'), join(stack.allowedRoot, 'front'));
  const workload = await restorable(stack, { volumes: absolute(join(stack.allowedRoot, 'front', 'data')) });
  await givesBack(workload, behind);
  assert.deepEqual(
    readdirSync(join(stack.allowedRoot, 'behind')).filter((name) => !name.startsWith('.refloat-')),
    ['data'],
  );
  // A link that is turned to lead out of the allowed roots afterwards is refused, whatever the snapshot says.
  const outside = join(stack.stateDir, '..', 'outside');
  mkdirSync(join(outside, 'data'), { recursive: true });
  const snapshot = await workload.capture();
  rmSync(join(stack.allowedRoot, 'front'));
  symlinkSync(outside, join(stack.allowedRoot, 'front'));
  const refused = await workload.restore(snapshot);
  assert.deepEqual([refused.state, refused.error.code], ['failed', 'SOURCE_OUTSIDE_ROOTS']);
  assert.deepEqual(readdirSync(join(outside, 'data')), []);
});

test('mounted read-only into the container, which is no hindrance', async () => {
  const live = join(stack.allowedRoot, 'read-only');
  mkdirSync(live);
  const [volume] = absolute(live);
  assert.ok(volume !== undefined);
  const workload = await restorable(stack, { volumes: [{ ...volume, readOnly: true }] });
  await givesBack(workload, live);
  const [container] = (await engine.mine()).filter((one) => one.labels['refloat.workload'] === workload.id);
  assert.equal(container?.mounts.find(({ destination }) => destination === '/volumes/data')?.readWrite, false);
});

test('on a file system that is mounted read-only a restore is refused before anything stops', async (t) => {
  const loop = mountLoop('ext4', 32 * MIB);
  const root = join(stack.allowedRoot, 'frozen');
  mkdirSync(root);
  execFileSync('mount', ['--bind', loop.path, root]);
  t.after(async () => {
    await engine.removeAll();
    execFileSync('umount', [root]);
    loop.unmount();
  });
  mkdirSync(join(root, 'data'));
  const workload = await restorable(stack, { volumes: absolute(join(root, 'data')) });
  const snapshot = await workload.capture();
  const started = (await engine.mine()).find((one) => one.labels['refloat.workload'] === workload.id)?.startedAt;
  execFileSync('mount', ['-o', 'remount,ro,bind', root]);
  const refused = await workload.restore(snapshot);
  assert.deepEqual([refused.state, refused.error.code], ['failed', 'FILE_SYSTEM_FAILED']);
  const now = (await engine.mine()).find((one) => one.labels['refloat.workload'] === workload.id);
  assert.deepEqual([now?.state, now?.startedAt], ['running', started]);
});

test('a Docker volume, by its name', async (t) => {
  const source = `refloat-test-volume-${process.pid}`;
  const volumes = [{ name: 'data', scope: 'named' as const, source, target: '/volumes/data' }];
  const workload = await restorable(stack, { volumes });
  t.after(async () => {
    await engine.removeAll();
    await engine.removeVolume(source);
  });
  const live = (await engine.engine.volume(source))?.mountPoint;
  assert.ok(live !== undefined);
  await givesBack(workload, live);
});

/** From now on the agent's file systems have no RENAME_EXCHANGE, and no RENAME_NOREPLACE either. */
async function withoutExchange(pid: number): Promise<{ calls: () => number; stop: () => Promise<void> }> {
  const strace = spawn('strace', [
    '-f',
    '-p',
    String(pid),
    '-e',
    'inject=renameat2:error=EINVAL',
    '-e',
    'trace=renameat2',
  ]);
  let text = '';
  await new Promise<void>((resolve, reject) => {
    strace.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('attached')) resolve();
    });
    strace.once('exit', (code) => reject(new Error(`strace ended with ${code}: ${text}`)));
  });
  return {
    calls: () => text.split('RENAME_EXCHANGE').length - 1,
    stop: async () => {
      if (strace.exitCode !== null || strace.signalCode !== null) return;
      strace.kill('SIGINT');
      await once(strace, 'exit');
    },
  };
}

test('on a file system without RENAME_EXCHANGE, and killed in every state that lies between', async () => {
  const live = join(stack.allowedRoot, 'no-exchange');
  mkdirSync(live);
  const workload = await restorable(stack, { volumes: absolute(live) });
  const lacking = await withoutExchange(agent.pid);
  await givesBack(workload, live);
  assert.ok(lacking.calls() >= 3, 'the exchange was tried and refused');
  const one = fill(live, 'one');
  const snapshot = await workload.capture();
  const two = fill(live, 'two');
  await lacking.stop();
  await agent.stop();
  const held = new Set(readdirSync(stack.allowedRoot));
  // `exchange#1`: old put aside, nothing live. `exchange#2`: new live, old still aside. `exchange#3`: done.
  for (const point of ['exchange#1', 'exchange#2', 'exchange#3']) {
    const killed = await stack.startAgent({ REFLOAT_CRASH_AT: point });
    const strace = await withoutExchange(killed.pid);
    const id = await workload.begin(snapshot);
    assert.equal((await killed.exited).signal, 'SIGKILL', `${point} was not reached: ${killed.log()}`);
    await strace.stop();
    assert.equal(existsSync(live), point !== 'exchange#1', point);
    const recovered = await stack.agent(['recover'], NO_DATABASE);
    assert.equal(recovered.code, 0, `${point}: ${recovered.stderr}`);
    assert.deepEqual(compareTrees(one, snapshotTree(live)), [], point);
    agent = await stack.startAgent();
    assert.equal((await stack.finished(id)).state, 'succeeded');
    await workload.undo(id);
    assert.deepEqual(compareTrees(two, snapshotTree(live)), [], point);
    await agent.stop();
    for (const name of readdirSync(stack.allowedRoot)) {
      if (!held.has(name)) assert.deepEqual(readdirSync(join(stack.allowedRoot, name)), ['data'], point);
    }
  }
  agent = await stack.startAgent();
  writeFileSync(join(live, 'alive'), 'x');
  assert.equal(readFileSync(join(live, 'which'), 'utf8').trim(), 'two');
});
