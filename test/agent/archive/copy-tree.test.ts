/** Copies in passes: whatever happens between two of them, the last one leaves the copy equal to the original. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import koffi from 'koffi';
import type { CopySummary } from '../../../agent/archive/types.ts';
import { canReflink } from '../../../agent/fs/reflink.ts';
import { mountLoop } from '../../helpers/loop-fs.ts';
import { makeRichTree } from '../../helpers/rich-tree.ts';
import { createArchiver } from '../../helpers/shipped-archiver.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const archiver = createArchiver();
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const ext4 = mountLoop('ext4', 2 * GIB);
after(ext4.unmount);

/** Everything that can happen to an entry, in a directory that `before` made. */
const CHURN = {
  before: `mkdir -p churn/gone/deep churn/moved churn/stays churn/acl; cd churn
    for i in 1 2 3 4 5 6 7 8 9; do echo "$i" > "stays/$i"; echo "$i" > "gone/deep/$i"; echo "$i" > "moved/$i"; done
    echo a > links-a; ln links-a links-b; ln links-a links-c; echo s > single; echo p > pair-1; ln pair-1 pair-2
    echo f > becomes-directory; mkdir becomes-file; echo x > becomes-file/x; mkdir becomes-link; ln -s x link-becomes-file
    mkdir "gone.sorts-between"; echo y > "gone.sorts-between/y"; echo z > gone-; mkdir attributed; setfattr -n user.old -v 1 attributed
    setfacl -d -m u:1:rwx acl; echo old > acl/old; echo old > outside`,
  between: `cd churn; rm -r gone; mv moved arrived; mkdir moved; echo new > moved/new
    echo changed > stays/3; touch -d @1000000000.5 stays/4; chmod 600 stays/5; chown 5:6 stays/6; setfattr -n user.x -v y stays/7
    truncate -s 1M stays/8; rm stays/9; mv stays/1 stays/0
    rm links-a; echo more >> links-b; ln single single-2; rm pair-2; ln pair-1 a-pair; echo swapped > t; mv t stays/2
    rm becomes-directory; mkdir becomes-directory; echo in > becomes-directory/in; rm -r becomes-file; echo file > becomes-file
    rmdir becomes-link; ln -s /nowhere becomes-link; rm link-becomes-file; echo file > link-becomes-file
    rm -r "gone.sorts-between"; rm gone-; setfattr -x user.old attributed; chmod 2755 attributed
    mv outside acl/moved-in; mkdir acl/new; echo inherits > acl/new/file; echo "same bytes" > rewritten; chmod 1777 .; touch -d @5.000000007 ..`,
} as const;

const sh = (script: string, directory: string): void =>
  void execFileSync('bash', ['--norc', '-ec', script], { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] });

/** Until what was done so far does not count as changed just now. */
async function settled(): Promise<void> {
  const now = Date.now();
  while (Date.now() < now + 1100) await delay(20);
}

/** A copy of a tree, and its passes: each reads what the one before wrote. */
function copyOf(source: string, more: { readonly reserveBytes?: number } = {}) {
  const destination = `${source}-copy`;
  let passes = 0;
  const index = (pass: number): string => `${source}-index-${pass}`;
  const pass = async (last: boolean): Promise<CopySummary> => {
    passes += 1;
    return await archiver.copy({
      source,
      destination,
      index: last ? null : index(passes),
      previousIndex: passes === 1 ? null : index(passes - 1),
      reflink: canReflink(join(source, '..')),
      reserveBytes: 0,
      ...more,
    });
  };
  const differences = (): string[] =>
    compareTrees(snapshotTree(source, { hashUpTo: GIB }), snapshotTree(destination, { hashUpTo: GIB }));
  return { destination, pass: async () => await pass(false), lastPass: async () => await pass(true), differences };
}

function folder(name: string): string {
  const source = join(ext4.path, name);
  mkdirSync(source);
  return source;
}

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  test(`on ${type} a copy equals a tree with everything, before and after all kinds of changes`, async (t) => {
    const fs = mountLoop(type, 2 * GIB);
    t.after(fs.unmount);
    const source = join(fs.path, 'source');
    makeRichTree(source, { sparseBytes: 100 * GIB });
    sh(CHURN.before, source);
    await settled();
    const copy = copyOf(source);
    const first = await copy.pass();
    assert.deepEqual(copy.differences(), []);
    assert.equal((await copy.pass()).taken, 0, 'nothing has changed');
    sh(CHURN.between, source);
    const last = await copy.lastPass();
    assert.deepEqual(copy.differences(), []);
    assert.deepEqual(last.skipped, []);
    assert.ok(last.taken < first.taken / 2, `${last.taken} of ${first.taken} were taken again`);
    assert.equal(first.copiedBytes === 0, type !== 'ext4', 'blocks are shared where the file system can');
  });
}

test('only what changed since the pass before is taken', async () => {
  const source = folder('few');
  for (const name of ['a', 'b', 'c']) writeFileSync(join(source, name), name);
  await settled();
  const copy = copyOf(source);
  assert.equal((await copy.pass()).taken, 3);
  writeFileSync(join(source, 'b'), 'B');
  const last = await copy.lastPass();
  assert.deepEqual([last.taken, last.copiedBytes], [1, 1]);
  assert.deepEqual(copy.differences(), []);
});

test('what changed while the pass was at it counts as changed for the next one, whatever its times say', async () => {
  const source = folder('tick');
  const touch = (): void => writeFileSync(join(source, 'file'), 'same');
  touch();
  const copy = copyOf(source);
  // Two changes within one tick of the file system's clock look like one, so a time that is that fresh vouches for nothing.
  const writing = setInterval(touch, 5);
  await copy.pass();
  clearInterval(writing);
  assert.match(readFileSync(`${source}-index-1`, 'utf8'), /\["file","f"\]/);
  assert.equal((await copy.lastPass()).taken, 1);
  assert.deepEqual(copy.differences(), []);
});

test('a write through a mapping that was dirty before the pass is not missed', async () => {
  const libc = koffi.load('libc.so.6');
  const mmap = libc.func('void* mmap(void*, size_t, int, int, int, int64_t)');
  const munmap = libc.func('int munmap(void*, size_t)');
  const source = folder('mapped');
  writeFileSync(join(source, 'file'), Buffer.alloc(4096, 'x'));
  const fd = openSync(join(source, 'file'), 'r+');
  const page = mmap(null, 4096, 3, 1, fd, 0) as unknown;
  try {
    koffi.encode(page, 'char', 'A'.charCodeAt(0));
    await settled();
    const copy = copyOf(source);
    await copy.pass();
    koffi.encode(page, 'char', 'B'.charCodeAt(0));
    await copy.lastPass();
    assert.equal(readFileSync(join(copy.destination, 'file'), 'latin1')[0], 'B');
  } finally {
    munmap(page, 4096);
    closeSync(fd);
  }
});

test('what cannot be archived is named by the pass that counts', async () => {
  const source = folder('special');
  execFileSync('mkfifo', [join(source, 'pipe')]);
  const copy = copyOf(source);
  await copy.pass();
  assert.deepEqual((await copy.lastPass()).skipped, [{ path: 'pipe', reason: 'fifo' }]);
});

test('a copy stops before it fills the file system', async () => {
  const source = folder('large');
  writeFileSync(join(source, 'file'), Buffer.alloc(80 * MIB, 'x'));
  await assert.rejects(copyOf(source, { reserveBytes: 1024 * GIB }).pass(), { code: 'DISK_FULL' });
});
