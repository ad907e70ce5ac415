/** Archives that must not get through, each with the rule that stops it, and what must survive the attempt. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { ExtractOptions } from '../../../agent/archive/types.ts';
import { RefloatError } from '../../../db/errors.ts';
import { createArchiver } from '../../helpers/shipped-archiver.ts';
import { END, entry, long, pax, paxRecord, tar } from '../../helpers/tar-builder.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const archiver = createArchiver();
const base = mkdtempSync(join(tmpdir(), 'refloat-hostile-'));
after(() => rmSync(base, { recursive: true, force: true }));
let number = 0;

/** A folder with a live volume beside the destination; both are compared afterwards. */
async function attack(
  bytes: Buffer,
  options: Partial<ExtractOptions> = {},
): Promise<{ error: RefloatError | null; destination: string }> {
  const folder = join(base, String(++number));
  mkdirSync(join(folder, 'live'), { recursive: true });
  writeFileSync(join(folder, 'live', 'data'), 'precious');
  symlinkSync('data', join(folder, 'live', 'link'));
  const archive = join(folder, 'archive');
  writeFileSync(archive, bytes);
  const destination = join(folder, 'staging');
  const before = snapshotTree(join(folder, 'live'));
  let error: RefloatError | null = null;
  try {
    await archiver.extract({ archive, destination, policy: 'faithful', ...options });
  } catch (thrown) {
    assert.ok(thrown instanceof RefloatError, String(thrown));
    error = thrown;
  }
  assert.deepEqual(compareTrees(before, snapshotTree(join(folder, 'live'))), []);
  assert.deepEqual(readdirSync(folder).sort(), error === null ? ['archive', 'live', 'staging'] : ['archive', 'live']);
  return { error, destination };
}

async function refused(rule: string, bytes: Buffer, options: Partial<ExtractOptions> = {}): Promise<RefloatError> {
  const { error } = await attack(bytes, options);
  assert.ok(error !== null, `was extracted instead of refused by ${rule}`);
  assert.equal(error.details?.['rule'], rule, error.message);
  assert.equal(error.disposition, 'refuse');
  assert.doesNotMatch(error.message, /[\x00-\x1f\x7f-\x9f]/);
  return error;
}

const A = entry({ name: 'a', body: 'aaa' });
const directory = (name: string): Buffer => entry({ name, type: '5', mode: 0o755 });
const symlink = (name: string, target: string): Buffer => entry({ name, type: '2', linkName: target });
const hardlink = (name: string, target: string): Buffer => entry({ name, type: '1', linkName: target });
const zeros = (mebibytes: number): Buffer => Buffer.alloc(mebibytes * 1024 * 1024);

const CASES: Readonly<Record<string, readonly [rule: string, bytes: Buffer, options?: Partial<ExtractOptions>]>> = {
  'an absolute name': ['absolute-name', tar(entry({ name: '/etc/passwd', body: 'x' }))],
  'a name with ..': ['dot-dot', tar(entry({ name: 'a/../../b', body: 'x' }))],
  'a name that is ..': ['dot-dot', tar(directory('../'))],
  'a .. in a pax path': ['dot-dot', tar(pax({ path: '../x' }), A)],
  'a .. in a GNU long name': ['dot-dot', tar(long('L', 'a/../../../../x'), A)],
  'a .. in a prefix': ['dot-dot', tar(entry({ name: 'x', prefix: '../..' }))],
  'an empty component': ['empty-component', tar(entry({ name: 'a//b' }))],
  'an empty name': ['empty-name', tar(entry({ name: '' }))],
  'a NUL in a pax path': ['nul-in-name', tar(pax({ path: 'a\0b' }), A)],
  'a NUL in a GNU long name': ['nul-in-name', tar(long('L', 'a\0b'), A)],
  'a file that is the root': ['root-not-directory', tar(entry({ name: '.', body: 'x' }))],
  'a symlink that is the root': ['root-not-directory', tar(symlink('.', '/etc'))],
  'an entry twice': ['duplicate-entry', tar(A, A)],
  'a directory twice': ['duplicate-entry', tar(directory('d/'), directory('d'))],
  'an entry twice in two spellings': ['duplicate-entry', tar(A, entry({ name: './a', body: 'b' }))],
  'a file where a directory was implied': ['duplicate-entry', tar(entry({ name: 'd/x' }), entry({ name: 'd' }))],
  'a symlink where a directory was implied': ['duplicate-entry', tar(entry({ name: 'd/x' }), symlink('d', '/etc'))],
  'a file through a symlink': [
    'below-non-directory',
    tar(symlink('d', '../live'), entry({ name: 'd/data', body: 'gone' })),
  ],
  'a file through a symlink in the middle': [
    'below-non-directory',
    tar(symlink('d', '/'), entry({ name: 'd/tmp/x', body: 'gone' })),
  ],
  'a directory over a symlink': [
    'duplicate-entry',
    tar(symlink('d', '../live'), directory('d/'), entry({ name: 'd/data' })),
  ],
  'a file over a symlink': ['duplicate-entry', tar(symlink('d', '../live/data'), entry({ name: 'd', body: 'gone' }))],
  'a file below a file': ['below-non-directory', tar(A, entry({ name: 'a/b' }))],
  'a file below a hard link': ['below-non-directory', tar(A, hardlink('h', 'a'), entry({ name: 'h/b' }))],
  'a hard link to outside': ['hardlink-target', tar(hardlink('h', '../live/data'))],
  'a hard link to an absolute path': ['hardlink-target', tar(hardlink('h', '/etc/passwd'))],
  'a hard link to a symlink': ['hardlink-target', tar(symlink('s', '../live/data'), hardlink('h', 's'))],
  'a hard link through a symlink': ['hardlink-target', tar(symlink('s', '../live'), hardlink('h', 's/data'))],
  'a symlink that says it is a file': ['symlink-name', tar(A, pax({ 'REFLOAT.symlink': 'a' }), symlink('s', 'a'))],
  'a symlink that says it is another one': [
    'symlink-name',
    tar(pax({ 'REFLOAT.symlink': 's' }), symlink('s', 'a'), pax({ 'REFLOAT.symlink': 's' }), symlink('t', 'b')),
  ],
  'a symlink that says it is one outside': [
    'dot-dot',
    tar(pax({ 'REFLOAT.symlink': '../live/link' }), symlink('s', 'data')),
  ],
  'a file that says it is a symlink': ['symlink-name', tar(symlink('s', 'a'), pax({ 'REFLOAT.symlink': 's' }), A)],
  'a global name of a symlink': ['global-name', tar(pax({ 'REFLOAT.symlink': 's' }, 'g'), symlink('s', 'a'))],
  'a hard link to a directory': ['hardlink-target', tar(directory('d/'), hardlink('h', 'd'))],
  'a hard link to itself': ['hardlink-target', tar(hardlink('h', 'h'))],
  'a hard link to a later file': ['hardlink-target', tar(hardlink('h', 'a'), A)],
  'a hard link with data': ['size-on-non-file', tar(A, entry({ name: 'h', type: '1', linkName: 'a', body: 'x' }))],
  'a symlink with data': ['size-on-non-file', tar(entry({ name: 'h', type: '2', linkName: 'a', body: 'x' }))],
  'a directory with data': ['size-on-non-file', tar(entry({ name: 'd/', type: '5', body: 'x' }))],
  'a symlink without a target': ['empty-target', tar(symlink('s', ''))],
  'a symlink with an endless target': ['target-too-long', tar(pax({ linkpath: 'x'.repeat(4096) }), symlink('s', 'x'))],
  'a character device': ['special-file', tar(entry({ name: 'null', type: '3' }))],
  'a block device': ['special-file', tar(entry({ name: 'sda', type: '4' }))],
  'a FIFO': ['special-file', tar(entry({ name: 'pipe', type: '6' }))],
  'an unknown type': ['unknown-type', tar(entry({ name: 'q', type: 'Q' }))],
  'a continued multi-volume file': ['unknown-type', tar(entry({ name: 'q', type: 'M' }))],
  'pax and GNU names for one entry': ['pax-and-gnu', tar(pax({ path: 'p' }), long('L', 'l'), A)],
  'GNU and pax names for one entry': ['pax-and-gnu', tar(long('L', 'l'), pax({ path: 'p' }), A)],
  'two pax headers for one entry': ['two-pax-headers', tar(pax({ path: 'p' }), pax({ path: 'q' }), A)],
  'two long names for one entry': ['two-long-names', tar(long('L', 'p'), long('L', 'q'), A)],
  'two values for one pax key': [
    'pax-duplicate-key',
    tar(entry({ type: 'x', name: 'x', body: Buffer.concat([paxRecord('path', 'p'), paxRecord('path', 'q')]) }), A),
  ],
  'metadata left over at the end': ['metadata-at-end', tar(A, pax({ path: 'p' }))],
  'a long name left over at the end': ['metadata-at-end', tar(A, long('L', 'l'))],
  'a global path': ['global-name', tar(pax({ path: 'p' }, 'g'), A)],
  'a global size': ['global-name', tar(pax({ size: '0' }, 'g'), A)],
  'a pax record that is too short': ['pax-malformed', tar(entry({ type: 'x', body: '5 a=b\n' }), A)],
  'a pax record that runs over its end': ['pax-malformed', tar(entry({ type: 'x', body: '99 path=b\n' }), A)],
  'a pax record with a leading zero': ['pax-malformed', tar(entry({ type: 'x', body: '010 path=b\n' }), A)],
  'a pax record without a newline': ['pax-malformed', tar(entry({ type: 'x', body: '9 path=bx' }), A)],
  'a negative pax size': ['pax-bad-number', tar(pax({ size: '-1' }), A)],
  'an overflowing pax size': ['pax-bad-number', tar(pax({ size: '18446744073709551617' }), A)],
  'a pax size in hexadecimal': ['pax-bad-number', tar(pax({ size: '0x3' }), A)],
  'a malformed pax time': ['pax-bad-time', tar(pax({ mtime: '1e9' }), A)],
  'an owner that wraps to root': ['bad-id', tar(pax({ uid: '4294967296' }), A)],
  'an owner that means "leave it"': ['bad-id', tar(pax({ uid: '4294967295' }), A)],
  'a negative size in base 256': [
    'negative-size',
    tar(entry({ patch: [{ at: 124, bytes: Buffer.from('ffffffffffffffffffffffff', 'hex') }] })),
  ],
  'an overflowing size in base 256': [
    'bad-number',
    tar(entry({ patch: [{ at: 124, bytes: Buffer.from('807fffffffffffffffffffff', 'hex') }] })),
  ],
  'letters in a size': ['bad-number', tar(entry({ patch: [{ at: 124, bytes: '0000000x000\0' }] }))],
  'two numbers in a size': ['bad-number', tar(entry({ patch: [{ at: 124, bytes: '00001 000002' }] }))],
  'a wrong checksum': ['bad-checksum', tar(entry({ patch: [{ at: 0, bytes: 'b', afterChecksum: true }] }))],
  'no end marker': ['missing-end', A],
  'half an end marker': ['missing-end', Buffer.concat([A, Buffer.alloc(512)])],
  'an empty file': ['missing-end', Buffer.alloc(0)],
  'a single zero block between entries': [
    'lone-zero-block',
    Buffer.concat([A, Buffer.alloc(512), entry({ name: 'b' }), END]),
  ],
  'a second archive behind the end': ['data-after-end', Buffer.concat([tar(A), tar(entry({ name: 'b' }))])],
  'an end inside a file': ['truncated-body', entry({ name: 'a', body: 'x', size: 100_000 })],
  'an end inside a header': ['truncated-header', tar(A).subarray(0, 1200)],
  'an end inside a pax header': ['truncated-meta', pax({ comment: 'x'.repeat(5000) }).subarray(0, 1024)],
  'a file larger than the disk': ['free-space', Buffer.concat([pax({ size: String(10 * 2 ** 40) }), A, END])],
  'a file of eight exabytes': ['max-bytes', Buffer.concat([pax({ size: '9007199254740991' }), A, END])],
  'a name of 256 bytes': ['name-too-long', tar(long('L', 'x'.repeat(256)), A)],
  'a tree of 257 levels': ['too-deep', tar(long('L', `${'d/'.repeat(256)}x`), A)],
  'a pax record of more than 1 MiB': ['record-size', tar(pax({ comment: 'x'.repeat(1_048_577) }), A)],
  'more entries than allowed': ['max-entries', tar(A, entry({ name: 'b' })), { limits: { maxEntries: 1 } }],
  'more bytes than allowed': ['max-bytes', tar(A), { limits: { maxBytes: 2 } }],
  'a zstd bomb': ['ratio', zstdCompressSync(tar(entry({ name: 'z', body: zeros(256) })))],
  'a gzip bomb': ['ratio', gzipSync(tar(entry({ name: 'z', body: zeros(256) })))],
  'a gzip bomb of many members': ['ratio', Buffer.concat(Array.from({ length: 130 }, () => gzipSync(zeros(2))))],
  'a zstd bomb behind the end of the archive': ['ratio', zstdCompressSync(Buffer.concat([tar(A), zeros(256)]))],
  'garbage behind zstd': ['trailing-garbage', Buffer.concat([zstdCompressSync(tar(A)), Buffer.from('garbage!')])],
  'garbage behind gzip': ['trailing-garbage', Buffer.concat([gzipSync(tar(A)), Buffer.from('garbage!')])],
  'garbage behind zeros behind gzip': [
    'trailing-garbage',
    Buffer.concat([gzipSync(tar(A)), Buffer.alloc(600), Buffer.from('x')]),
  ],
  'a gzip member that is cut': ['truncated-compression', gzipSync(tar(A)).subarray(0, -9)],
  'a gzip trailer that is cut': ['truncated-compression', gzipSync(tar(A)).subarray(0, -3)],
  'a zstd frame that is cut': ['truncated-compression', zstdCompressSync(tar(A)).subarray(0, -3)],
  'a second zstd frame that is cut': [
    'truncated-compression',
    Buffer.concat([zstdCompressSync(tar(A)), zstdCompressSync(zeros(1)).subarray(0, 9)]),
  ],
  'a zstd window of 2 GiB': ['zstd-window', Buffer.from('28b52ffd00a8010000', 'hex')],
  'a zstd dictionary': ['zstd-dictionary', Buffer.from('28b52ffd0158010000', 'hex')],
  'a sparse file larger than allowed': ['max-bytes', sparse10('1\n0\n0\n', { realsize: String(2 ** 50) })],
  'a sparse map with overlapping segments': [
    'sparse-map',
    sparse10('2\n0\n600\n512\n100\n', { realsize: '4096' }, 700),
  ],
  'a sparse map beyond the file': ['sparse-map', sparse10('1\n4000\n512\n', { realsize: '4096' }, 512)],
  'a sparse map that promises more than there is': ['sparse-map', sparse10('1\n0\n4096\n', { realsize: '4096' }, 512)],
  'a sparse map of a billion segments': ['sparse-segments', sparse10('1000000000\n', { realsize: '4096' })],
  'a sparse map that never ends': ['sparse-map', sparse10(`9\n${'0'.repeat(600)}`, { realsize: '4096' })],
  'two sparse formats at once': [
    'sparse-format',
    tar(
      pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.map': '0,0', 'GNU.sparse.realsize': '3' }),
      A,
    ),
  ],
  'a sparse name with ..': ['dot-dot', sparse10('1\n0\n0\n', { realsize: '10', name: '../x' })],
  'an attribute with a NUL in its name': [
    'bad-xattr',
    tar(pax({ 'SCHILY.xattr.user.': 'x', 'SCHILY.xattr.': 'x' }), A),
  ],
  'an ACL that names a person': [
    'pax-bad-acl',
    tar(pax({ 'SCHILY.acl.access': 'user::rw-,user:root:rwx,group::r--,mask::rwx,other::---' }), A),
  ],
  'a strict archive with a symlink': ['strict-link', tar(symlink('s', 'a')), { policy: 'strict' }],
  'a strict archive with a hard link': ['strict-link', tar(A, hardlink('h', 'a')), { policy: 'strict' }],
  'a strict archive with a path of 4,097 bytes': [
    'path-too-long',
    tar(long('L', `${`${'d'.repeat(240)}/`.repeat(17)}x`), A),
    { policy: 'strict' },
  ],
  'what lies below a symlink that is left out': [
    'below-non-directory',
    tar(symlink('d', '/etc'), entry({ name: 'd/passwd', body: 'x' })),
    { policy: 'strict', unrestorable: 'leave-out' },
  ],
  'what lies below a device that is left out': [
    'below-non-directory',
    tar(entry({ name: 'd', type: '3' }), entry({ name: 'd/x' })),
    { unrestorable: 'leave-out' },
  ],
  'a file in the place of a link that is left out': [
    'duplicate-entry',
    tar(symlink('s', 'a'), entry({ name: 's', body: 'x' })),
    { policy: 'strict', unrestorable: 'leave-out' },
  ],
  'a link with .. in its name that would be left out': [
    'dot-dot',
    tar(symlink('../s', 'a')),
    { policy: 'strict', unrestorable: 'leave-out' },
  ],
  'more entries than allowed, although they are left out': [
    'max-entries',
    tar(symlink('s', 'a'), symlink('t', 'a')),
    { policy: 'strict', unrestorable: 'leave-out', limits: { maxEntries: 1 } },
  ],
  'a hard link to what is left out': [
    'hardlink-target',
    tar(entry({ name: 'd', type: '3' }), hardlink('h', 'd')),
    { unrestorable: 'leave-out' },
  ],
  'more implied directories than there may be entries': [
    'max-entries',
    tar(...Array.from({ length: 3 }, (_, index) => Buffer.concat([long('L', `${index}${'/d'.repeat(200)}`), A]))),
    { limits: { maxEntries: 300 } },
  ],
  'a rooted name with ..': ['dot-dot', tar(entry({ name: '/../x' })), { absoluteNames: 'rooted' }],
  'a name with two slashes in front': ['absolute-name', tar(entry({ name: '//x' })), { absoluteNames: 'rooted' }],
  'a rooted name and the same without its slash': [
    'duplicate-entry',
    tar(entry({ name: '/a' }), entry({ name: 'a' })),
    { absoluteNames: 'rooted' },
  ],
  'an archive of xz': ['compression', Buffer.from('fd377a585a000004e6d6b446', 'hex')],
  'an archive of bzip2': ['compression', Buffer.from('BZh91AY&SY')],
  'control bytes in a refused name': ['dot-dot', tar(entry({ name: '../\x1b]0;pwned\x07\n' }))],
};

function sparse10(map: string, keys: Readonly<Record<string, string>>, dataBytes = 0): Buffer {
  const padded = Buffer.alloc(Math.ceil(map.length / 512) * 512);
  padded.write(map);
  const records = Object.fromEntries(
    Object.entries({ major: '1', minor: '0', name: 's', ...keys }).map(([key, value]) => [`GNU.sparse.${key}`, value]),
  );
  return tar(
    pax(records),
    entry({ name: 'GNUSparseFile.0/s', body: Buffer.concat([padded, Buffer.alloc(dataBytes, 1)]) }),
  );
}

for (const [what, [rule, bytes, options]] of Object.entries(CASES)) {
  test(`refuses ${what}`, async () => {
    await refused(rule, bytes, options);
  });
}

test('a refusal names the entry with its control bytes escaped', async () => {
  const error = await refused('dot-dot', tar(entry({ name: 'a/../\x1b[2J\n' })));
  assert.equal(error.details?.['entry'], 'a/../\\x1b[2J\\x0a');
});

test('a digest that differs is reported as such, before any other fault of the archive', async () => {
  const { error } = await attack(tar(A, A), { expected: { sha256: '0'.repeat(64) } });
  assert.equal(error?.code, 'ARCHIVE_CHANGED');
});

test('an archive cut at an entry boundary with a new end is caught by its counts', async () => {
  const counts = {
    entries: 2,
    files: 2,
    directories: 0,
    symlinks: 0,
    hardLinks: 0,
    sparseFiles: 0,
    xattrs: 0,
    contentBytes: 6,
  };
  const { error } = await attack(tar(A), { expected: { counts } });
  assert.equal(error?.code, 'ARCHIVE_TRUNCATED');
});

test('links of hostile targets are stored as they are and lead nowhere while extracting', async () => {
  const { error, destination } = await attack(
    tar(symlink('abs', '/etc/passwd'), symlink('up', '../../../..'), A, hardlink('h', './a')),
  );
  assert.equal(error, null);
  assert.deepEqual([...snapshotTree(destination).keys()].sort(), ['', 'a', 'abs', 'h', 'up']);
});

test('what a policy does not restore can be left out, by name, with the directories that it implies', async () => {
  const bytes = tar(
    symlink('d/s', '/etc'),
    entry({ name: 'd/a', body: 'x' }),
    hardlink('h', 'd/a'),
    entry({ name: 'p', type: '6' }),
  );
  const folder = join(base, 'left-out');
  mkdirSync(folder);
  writeFileSync(join(folder, 'a.tar'), bytes);
  const left = async (policy: 'strict' | 'faithful') => {
    const destination = join(folder, policy);
    const { skipped } = await archiver.extract({
      archive: join(folder, 'a.tar'),
      destination,
      policy,
      unrestorable: 'leave-out',
    });
    return [
      [...snapshotTree(destination).keys()].sort(),
      skipped.map(({ path, reason }) => `${reason} ${path}`).sort(),
    ];
  };
  assert.deepEqual(await left('strict'), [
    ['', 'd', 'd/a'],
    ['fifo p', 'hardlink h', 'symlink d/s'],
  ]);
  assert.deepEqual(await left('faithful'), [['', 'd', 'd/a', 'd/s', 'h'], ['fifo p']]);
});

test('absolute names are placed below the destination where the caller says that they are rooted', async () => {
  const { error, destination } = await attack(
    tar(
      directory('/'),
      directory('/backup'),
      entry({ name: '/backup/a', body: 'x' }),
      hardlink('/backup/h', '/backup/a'),
    ),
    { absoluteNames: 'rooted' },
  );
  assert.equal(error, null);
  assert.deepEqual([...snapshotTree(destination).keys()].sort(), ['', 'backup', 'backup/a', 'backup/h']);
});

test('two volumes: a symlink of one never carries the other out', async () => {
  const folder = join(base, 'two');
  mkdirSync(folder);
  writeFileSync(join(folder, 'one.tar'), tar(symlink('two-staging', '/etc')));
  writeFileSync(join(folder, 'two.tar'), tar(A));
  await archiver.extract({ archive: join(folder, 'one.tar'), destination: join(folder, 'one'), policy: 'faithful' });
  // The second volume's staging would lie where the first one's symlink is.
  await assert.rejects(
    archiver.extract({
      archive: join(folder, 'two.tar'),
      destination: join(folder, 'one', 'two-staging'),
      policy: 'faithful',
    }),
    (error: RefloatError) => error.code === 'DESTINATION_EXISTS',
  );
  assert.ok(!existsSync('/etc/a'));
});
