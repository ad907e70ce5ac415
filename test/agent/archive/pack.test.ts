/** How a tree becomes an archive: what is listed by one thread, read by others, and put in order again. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { setImmediate as othersFirst } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { BlockReader } from '../../../agent/archive/block-reader.ts';
import { FrameCompressor } from '../../../agent/archive/frame-compressor.ts';
import { packTree } from '../../../agent/archive/pack.ts';
import { plainHeaderLength, writePlainHeader } from '../../../agent/archive/plain-header.ts';
import { ReaderPool } from '../../../agent/archive/reader-pool.ts';
import { encodeJob, READER_OUT_BYTES, type ReaderData } from '../../../agent/archive/reader-protocol.ts';
import { EMPTY_NAME, statx } from '../../../agent/archive/syscalls.ts';
import { encodeHeader } from '../../../agent/archive/tar-writer.ts';
import type { ListedEntry } from '../../../agent/archive/tree-list.ts';
import { RefloatError } from '../../../db/errors.ts';
import { mountLoop } from '../../helpers/loop-fs.ts';
import { createArchiver } from '../../helpers/shipped-archiver.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const archiver = createArchiver();
const base = mkdtempSync(join(tmpdir(), 'refloat-pack-'));
after(() => rmSync(base, { recursive: true, force: true }));
const MIB = 1024 * 1024;

/** Small files in many batches, in each batch something that takes more than one look, and in the middle more than one can hold. */
function mixedTree(root: string): void {
  mkdirSync(root);
  for (let directory = 0; directory < 12; directory += 1) {
    const at = join(root, `d${directory}`);
    mkdirSync(at);
    for (let file = 0; file < 200; file += 1) writeFileSync(join(at, `f${file}`), randomBytes((file * 7919) % 9000));
    linkSync(join(at, 'f7'), join(root, `link-${directory}`));
    linkSync(join(at, 'f7'), join(at, 'f7-again'));
    symlinkSync('f8', join(at, 'f8-symlink'));
    linkSync(join(at, 'f8-symlink'), join(at, 'f9-symlink'));
    writeFileSync(join(at, 'large'), randomBytes(1_200_000));
    writeFileSync(join(at, 'name\nof \xff bytes'), 'x');
    execFileSync('truncate', ['-s', '1M', join(at, 'hole')]);
    execFileSync('mkfifo', [join(at, 'pipe')]);
    mkdirSync(join(at, 'f5'.padEnd(120, 'x')));
  }
  mkdirSync(join(root, 'd3-half'));
  for (let file = 0; file < 60; file += 1) writeFileSync(join(root, 'd3-half', `f${file}`), randomBytes(500_000));
}

/** Members as GNU tar lists them, a name that is quoted as it is. */
const membersOf = (archive: string): string[] =>
  execFileSync('bash', ['--norc', '-c', 'zstd -dcq "$1" | tar -t --warning=none', 'bash', archive], {
    encoding: 'utf8',
  })
    .split('\n')
    .filter((line) => line !== '');

/** The same by another way: a directory before what is in it, names in byte order. */
const listOf = (root: string): string[] =>
  execFileSync(
    'bash',
    ['--norc', '-c', 'cd "$1"; find . ! -type p -print0 | tar -c --no-recursion --null -T - | tar -t', 'bash', root],
    {
      encoding: 'utf8',
    },
  )
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/^\.\/(?=.)/, ''))
    .sort((a, b) => (a.replaceAll('/', '\0') < b.replaceAll('/', '\0') ? -1 : 1));

/** Without the root's own, which changes with what is removed in it. */
const differencesBelow = (a: string, b: string): string[] =>
  compareTrees(snapshotTree(a), snapshotTree(b)).filter((difference) => !difference.startsWith('.: '));

test('members come in byte order, a directory before what is in it, whoever has read them', async () => {
  const root = join(base, 'mixed');
  mixedTree(root);
  const archive = join(base, 'mixed.tar.zst');
  const { sha256, archiveBytes, skipped, ...counts } = await archiver.pack({ root, archive });
  assert.deepEqual(membersOf(archive), listOf(root));
  assert.deepEqual(
    skipped.map(({ reason }) => reason),
    Array.from({ length: 12 }, () => 'fifo'),
  );
  assert.deepEqual([counts.hardLinks, counts.symlinks, counts.sparseFiles, counts.directories], [24, 24, 12, 26]);
  const expected = { sha256, archiveBytes, counts };
  await archiver.extract({ archive, destination: join(base, 'mixed-out'), policy: 'faithful', expected });
  const original = snapshotTree(root);
  const differences = compareTrees(original, snapshotTree(join(base, 'mixed-out')));
  assert.deepEqual(
    differences.filter((difference) => !difference.includes('/pipe')),
    [],
  );
});

test('a file system that does not tell types is asked for each of them', async (t) => {
  const fs = mountLoop('ext4', 64 * MIB, { features: '^filetype' });
  t.after(fs.unmount);
  const root = join(fs.path, 'tree');
  mkdirSync(join(root, 'below'), { recursive: true });
  for (let index = 0; index < 200; index += 1) writeFileSync(join(root, 'below', `f${index}`), `${index}`);
  symlinkSync('below', join(root, 'symlink'));
  execFileSync('mkfifo', [join(root, 'pipe')]);
  const types = readdirSync(root, { withFileTypes: true });
  assert.equal(types.length, 3);
  const archive = join(base, 'types.tar.zst');
  const { skipped, files, directories, symlinks } = await archiver.pack({ root, archive });
  assert.deepEqual([files, directories, symlinks], [200, 2, 1]);
  assert.deepEqual(skipped, [{ path: 'pipe', reason: 'fifo' }]);
  unlinkSync(join(root, 'pipe'));
  await archiver.extract({ archive, destination: join(base, 'types-out'), policy: 'faithful' });
  assert.deepEqual(differencesBelow(root, join(base, 'types-out')), []);
});

test('when the first name of a file vanishes, the next one brings its bytes', async () => {
  const root = join(base, 'names');
  mkdirSync(root);
  // Makes the archive say how far it is, after the root was listed and before the names were looked at.
  writeFileSync(join(root, 'a-large'), randomBytes(20 * MIB));
  writeFileSync(join(root, 'b-first'), 'content');
  for (const name of ['c-second', 'd-third']) linkSync(join(root, 'b-first'), join(root, name));
  const archive = join(base, 'names.tar.zst');
  writeFileSync(archive, '');
  const { skipped, hardLinks, files } = await packTree(root, archive, () =>
    rmSync(join(root, 'b-first'), { force: true }),
  );
  assert.deepEqual(skipped, [{ path: 'b-first', reason: 'vanished' }]);
  assert.deepEqual([files, hardLinks], [2, 1]);
  await archiver.extract({ archive, destination: join(base, 'names-out'), policy: 'faithful' });
  assert.deepEqual(differencesBelow(root, join(base, 'names-out')), []);
});

test('what is listed as one thing and then is another is left out, and nothing lies below a file', async () => {
  const root = join(base, 'turned');
  mkdirSync(join(root, 'b-directory'), { recursive: true });
  writeFileSync(join(root, 'a-large'), randomBytes(20 * MIB));
  writeFileSync(join(root, 'b-directory', 'in it'), 'x');
  writeFileSync(join(root, 'c-file'), 'x');
  symlinkSync('c-file', join(root, 'd-symlink'));
  const archive = join(base, 'turned.tar.zst');
  writeFileSync(archive, '');
  const { skipped } = await packTree(root, archive, () => {
    for (const name of ['b-directory', 'c-file', 'd-symlink'])
      rmSync(join(root, name), { recursive: true, force: true });
    writeFileSync(join(root, 'b-directory'), 'a file now');
    mkdirSync(join(root, 'c-file'));
    writeFileSync(join(root, 'd-symlink'), 'a file now');
  });
  assert.deepEqual(
    skipped.map(({ path, reason }) => `${path} ${reason}`),
    ['b-directory vanished', 'c-file vanished', 'd-symlink vanished'],
  );
  assert.deepEqual(membersOf(archive), ['./', 'a-large']);
});

function terminated(t: TestContext): void {
  const kill = (worker: Worker): void => void worker.terminate();
  process.on('worker', kill);
  t.after(() => process.off('worker', kill));
}

const isOfThread = (error: unknown): boolean =>
  error instanceof RefloatError && error.code === 'INTERNAL' && error.message.startsWith('a reader thread failed');

test('a reader thread that dies ends the capture, and nothing is left', async (t) => {
  const root = join(base, 'dying');
  mkdirSync(root);
  for (let index = 0; index < 4000; index += 1) writeFileSync(join(root, `f${index}`), 'x'.repeat(4000));
  const archive = join(base, 'dying.tar.zst');
  writeFileSync(archive, '');
  terminated(t);
  const before = readdirSync('/proc/self/fd').length;
  await assert.rejects(
    packTree(root, archive, () => undefined),
    isOfThread,
  );
  assert.ok(!existsSync(archive));
  assert.ok(readdirSync('/proc/self/fd').length <= before);
});

test('whoever waits for a batch of a reader thread that dies is told', async (t) => {
  const { root, entries, data } = smallFiles('told');
  t.after(() => closeSync(root));
  const pool = new ReaderPool(data);
  while (!pool.ready) await othersFirst();
  const deadly = [{ parent: '', name: 'f0', kind: 'none' as ListedEntry['kind'] }];
  const batches = [deadly, entries, entries].map(async (batch) => await pool.fill(batch));
  const [first, second, behindFirst] = await Promise.allSettled(batches);
  assert.ok(first?.status === 'rejected' && isOfThread(first.reason));
  assert.ok(behindFirst?.status === 'rejected' && isOfThread(behindFirst.reason));
  assert.ok(second?.status === 'fulfilled' && second.value.done === entries.length);
  assert.throws(() => pool.ready, isOfThread);
  await pool.stop();
});

function smallFiles(name: string): { root: number; entries: ListedEntry[]; data: ReaderData } {
  const path = join(base, name);
  mkdirSync(path);
  const names = Array.from({ length: 40 }, (_, index) => `f${index}`);
  for (const each of names) writeFileSync(join(path, each), each.repeat(500));
  const root = openSync(path, 'r');
  const entries = names.map((each): ListedEntry => ({ parent: '', name: each, kind: 'file' }));
  return { root, entries, data: { root, mount: statx(root, EMPTY_NAME).mount } };
}

test('without a zstd of its own a thread gives back tar, and the streams of Node compress it', async () => {
  const { root, entries, data } = smallFiles('fallback');
  const read = (reader: BlockReader) => {
    const out = new SharedArrayBuffer(READER_OUT_BYTES);
    const result = reader.read(encodeJob(entries, out));
    reader.close();
    return { ...result, bytes: Buffer.from(out, 0, result.length) };
  };
  const frame = read(new BlockReader(data));
  const tar = read(new BlockReader(data, null));
  closeSync(root);
  assert.deepEqual([frame.isFrame, tar.isFrame, tar.length], [true, false, tar.used]);
  assert.ok(zstdDecompressSync(frame.bytes).equals(tar.bytes));
  const compressor = new FrameCompressor(tar.length, null);
  for (let round = 0; round < 3; round += 1) {
    const compressed = await compressor.compress(tar.bytes);
    assert.ok(zstdDecompressSync(compressed.bytes).equals(tar.bytes));
    compressed.release();
  }
  compressor.close();
});

test('plain headers are the same bytes as all others', () => {
  const time = fc.oneof(
    fc.integer({ min: -10, max: 2 ** 34 }),
    fc.constantFrom(999_999_999, 1_000_000_000, 8_589_934_591),
  );
  const id = fc.oneof(fc.integer({ min: 0, max: 0o7777777 }), fc.constant(0o10000000));
  const character = fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 32, max: 126 }) },
    fc.integer({ min: 1, max: 255 }),
  );
  const name = fc.array(character, { minLength: 1, maxLength: 110 }).map((codes) => String.fromCharCode(...codes));
  let plain = 0;
  fc.assert(
    fc.property(
      name,
      fc.record({ mode: fc.integer({ min: 0, max: 0o7777 }), uid: id, gid: id, size: fc.nat(2 ** 20) }),
      time,
      fc.oneof(fc.constant(0), fc.nat(999_999_999)),
      (path, numbers, seconds, nanoseconds) => {
        const stat = { ...numbers, mtimeSeconds: seconds, mtimeNanoseconds: nanoseconds };
        const length = plainHeaderLength(path, stat);
        if (length === 0) return;
        plain += 1;
        const out = Buffer.alloc(length + 20, 0xaa);
        writePlainHeader(out, 10, path, stat, length);
        const rest = { type: '0', name: path, linkName: '', xattrs: [], symlinkName: null, sparseSize: null } as const;
        const same = encodeHeader({ ...numbers, ...rest, mtime: { seconds, nanoseconds } });
        assert.ok(out.subarray(10, 10 + length).equals(same));
        assert.ok(
          out.subarray(0, 10).every((byte) => byte === 0xaa) &&
            out.subarray(10 + length).every((byte) => byte === 0xaa),
        );
      },
    ),
    { numRuns: 2000 },
  );
  assert.ok(plain > 100, `${plain} of them were plain`);
});
