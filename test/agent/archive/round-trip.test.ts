/** Every property of a tree comes back, on every file system, and through GNU tar and bsdtar in both directions. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { countsOf } from '../../../agent/archive/tree-counts.ts';
import { createSnapshot } from '../../../agent/snapshots/create-snapshot.ts';
import { limitsOf } from '../../../agent/snapshots/limits.ts';
import { snapshotStore } from '../../../agent/snapshots/store.ts';
import type { RefloatError } from '../../../db/errors.ts';
import { newId } from '../../../db/ids.ts';
import { mountLoop } from '../../helpers/loop-fs.ts';
import { makeRichTree } from '../../helpers/rich-tree.ts';
import { createArchiver } from '../../helpers/shipped-archiver.ts';
import { compareTrees, type Property, snapshotTree } from '../../helpers/tree.ts';

// bsdtar gives up on names that the locale cannot show.
process.env['LC_ALL'] = 'C.UTF-8';

const archiver = createArchiver();
const GIB = 1024 ** 3;

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  test(`a tree with everything comes back exactly on ${type}`, async (t) => {
    const fs = mountLoop(type, 2 * GIB);
    t.after(fs.unmount);
    const source = join(fs.path, 'source');
    makeRichTree(source, { sparseBytes: 100 * GIB });
    const archive = join(fs.path, 'a.tar.zst');
    const before = snapshotWithoutHuge(source);
    const packed = await archiver.pack({ root: source, archive });
    assert.deepEqual(packed.skipped, []);
    const { allocatedBytes, sums, ...measured } = await archiver.measure(source);
    assert.ok(allocatedBytes > 0);
    const { sha256, archiveBytes } = packed;
    const counts = countsOf(packed);
    assert.deepEqual(measured, counts);
    const expected = { sha256, archiveBytes, counts };
    const verified = await archiver.verify({ archive, policy: 'faithful', expected });
    assert.deepEqual(verified, packed);
    const extracted = await archiver.extract({
      archive,
      destination: join(fs.path, 'out'),
      policy: 'faithful',
      expected,
    });
    assert.deepEqual(extracted, { ...packed, sums }, 'owners, modes, times and link targets are those of the tree');
    assert.deepEqual(compareTrees(before, snapshotWithoutHuge(join(fs.path, 'out'))), []);
    assert.deepEqual(compareTrees(before, snapshotWithoutHuge(source)), [], 'packing changes nothing');
  });
}

/** Hashing 100 GiB of zeros takes minutes; its holes and size are compared all the same. */
function snapshotWithoutHuge(root: string): ReturnType<typeof snapshotTree> {
  return snapshotTree(root, { hashUpTo: GIB });
}

const ext4 = mountLoop('ext4', 2 * GIB);
after(ext4.unmount);
const portable = join(ext4.path, 'portable');
makeRichTree(portable, { sparseBytes: GIB / 16, portable: true });
const original = snapshotTree(portable);

test('a tree that is deeper than archives usually may be comes back by its own manifest, and not without', async () => {
  const source = join(ext4.path, 'deep');
  mkdirSync(source);
  // 300 levels, 4,504 bytes: made from inside, since no path argument can name the end.
  execFileSync('bash', [
    '--norc',
    '-c',
    'cd "$1" && for i in $(seq 300); do mkdir -p directory-long && cd -P directory-long && echo $i > file; done',
    'bash',
    source,
  ]);
  const store = snapshotStore(join(ext4.path, 'state'));
  const { path, manifest } = await createSnapshot({
    store,
    archiver,
    id: newId(),
    kind: 'capture',
    workload: { id: newId(), name: 'w' },
    image: 'i:1',
    imageId: '',
    volumes: [{ name: 'data', scope: 'project', source: 'data', target: '/data', path: source }],
    intentId: newId(),
    capturedAt: new Date(),
    protectedUntil: null,
  });
  const [volume] = manifest.volumes;
  assert.deepEqual(volume?.longestPath, { bytes: 300 * 15 + 4, components: 301 });
  const archive = join(path, 'data.tar.zst');
  const destination = join(ext4.path, 'deep-out');
  await archiver.extract({ archive, destination, policy: 'faithful', limits: limitsOf(volume) });
  assert.deepEqual(compareTrees(snapshotTree(source), snapshotTree(destination)), []);
  await assert.rejects(
    archiver.extract({ archive, destination: join(ext4.path, 'no'), policy: 'faithful' }),
    (error: RefloatError) => error.details?.['rule'] === 'too-deep',
  );
});

/** libarchive 3.6 never sets the root's time, and mistakes fractions of seconds before 1970, with anybody's archives. */
const BSDTAR_CANNOT = /^(\.|time-3|time-4): mtime /;
const notBsdtars = (differences: readonly string[]): string[] =>
  differences.filter((line) => !BSDTAR_CANNOT.test(line));

const GNU = ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner', '-p'];

test('GNU tar extracts what pack wrote to the same tree', async () => {
  const archive = join(ext4.path, 'for-gnu.tar.zst');
  await archiver.pack({ root: portable, archive });
  mkdirSync(join(ext4.path, 'gnu'));
  execFileSync('sh', [
    '-c',
    `zstd -dcq "$1" | tar -x ${GNU.join(' ')} -f - -C "$2"`,
    'sh',
    archive,
    join(ext4.path, 'gnu'),
  ]);
  assert.deepEqual(compareTrees(original, snapshotTree(join(ext4.path, 'gnu'))), []);
});

test('bsdtar extracts what pack wrote to the same tree', async () => {
  const archive = join(ext4.path, 'for-bsd.tar.zst');
  await archiver.pack({ root: portable, archive });
  mkdirSync(join(ext4.path, 'bsd'));
  execFileSync('bsdtar', [
    '-x',
    '-p',
    '--xattrs',
    '--acls',
    '--numeric-owner',
    '-f',
    archive,
    '-C',
    join(ext4.path, 'bsd'),
  ]);
  assert.deepEqual(notBsdtars(compareTrees(original, snapshotTree(join(ext4.path, 'bsd')))), []);
});

const WRITERS: readonly { name: string; command: string; ignore: readonly Property[] }[] = [
  { name: 'GNU tar, pax', command: `tar -c --format=pax --sparse ${GNU.join(' ')}`, ignore: [] },
  // The GNU format has whole seconds and no attributes.
  {
    name: 'GNU tar, gnu',
    command: 'tar -c --format=gnu --sparse --numeric-owner',
    ignore: ['mtime', 'xattrs', 'mode'],
  },
  { name: 'bsdtar, pax', command: 'bsdtar -c --format=pax --xattrs --acls --numeric-owner', ignore: [] },
];

for (const [index, { name, command, ignore }] of WRITERS.entries()) {
  for (const [suffix, compressor] of [
    ['.tar', 'cat'],
    ['.tar.gz', 'gzip -1'],
    ['.tar.zst', 'zstd -q'],
  ] as const) {
    test(`unpack gives back what ${name} wrote as ${suffix}`, async () => {
      const archive = join(ext4.path, `w${index}${suffix}`);
      const destination = join(ext4.path, `o${index}${suffix}`);
      execFileSync('bash', [
        '--norc',
        '-o',
        'pipefail',
        '-c',
        `${command} -f - -C "$1" . | ${compressor} > "$2"`,
        'sh',
        portable,
        archive,
      ]);
      await archiver.extract({ archive, destination, policy: 'faithful' });
      const differences = compareTrees(original, snapshotTree(destination), ignore);
      assert.deepEqual(name.startsWith('bsdtar') ? notBsdtars(differences) : differences, []);
    });
  }
}
