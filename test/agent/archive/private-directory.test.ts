/**
 * A private directory inside a mount point lies where the application can put a symbolic link in its place: nothing is read, written
 * or removed through one, whenever it is put there.
 */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  makeDirectoriesDurably,
  makeDirectoryDurably,
  removeEmptyDirectory,
  removeFileDurably,
  renameDurably,
  syncDirectory,
} from '../../../agent/fs/durable.ts';
import { keepingTime } from '../../../agent/fs/keeping-time.ts';
import { removeTree } from '../../../agent/fs/remove-tree.ts';
import { newId } from '../../../db/ids.ts';
import { createArchiver } from '../../helpers/shipped-archiver.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const archiver = createArchiver();
const base = mkdtempSync(join(tmpdir(), 'refloat-private-'));
after(() => rmSync(base, { recursive: true }));

const live = join(base, 'live');
const outside = join(base, 'outside');
const own = join(live, '.refloat-01890a5d-ac96-774b-bcce-b302099a8057');
const archive = join(base, 'a.tar.zst');
const MANY = 3000;

mkdirSync(join(base, 'many'));
for (let n = 0; n < MANY; n += 1) writeFileSync(join(base, 'many', `file-${n}`), `${n}`);
const { sha256, archiveBytes } = await archiver.pack({ root: join(base, 'many'), archive });
const extraction = { archive, policy: 'faithful', expected: { sha256, archiveBytes } } as const;

beforeEach(() => {
  for (const path of [live, outside]) rmSync(path, { recursive: true, force: true });
  mkdirSync(join(outside, 'data', 'below'), { recursive: true });
  mkdirSync(join(outside, 'empty'));
  writeFileSync(join(outside, 'data', 'precious'), 'precious');
  mkdirSync(live);
  writeFileSync(join(live, 'file'), 'of the application');
});

const copy = (more: object) => ({
  ...{ source: live, destination: join(own, 'data'), index: null, previousIndex: null },
  ...{ reflink: false, reserveBytes: 0, ...more },
});

test('a link in its place is not followed', async () => {
  symlinkSync(outside, own);
  const before = snapshotTree(outside);
  const attempts: Readonly<Record<string, () => unknown>> = {
    'copy a new tree': () => archiver.copy(copy({ destination: join(own, 'new') })),
    'copy over a tree': () => archiver.copy(copy({ previousIndex: '/dev/null' })),
    'write an index': () => archiver.copy(copy({ destination: join(base, 'copy'), index: join(own, '.data.first') })),
    'read an index': () =>
      archiver.copy(copy({ destination: join(outside, 'data'), previousIndex: join(own, 'data', 'precious') })),
    pack: () => archiver.pack({ root: join(own, 'data'), archive: join(base, 'stolen.tar.zst') }),
    measure: () => archiver.measure(join(own, 'data')),
    extract: () => archiver.extract({ ...extraction, destination: join(own, 'new') }),
    'remove a tree': () => removeTree(join(own, 'data')),
    'make a directory': () => makeDirectoryDurably(join(own, 'new')),
    'make directories': () => makeDirectoriesDurably(join(own, 'data', 'below', 'new')),
    'remove a directory': () => removeEmptyDirectory(join(own, 'empty')),
    'remove a file': () => removeFileDurably(join(own, 'data', 'precious')),
    rename: () => renameDurably(join(own, 'data'), join(own, 'gone')),
    sync: () => syncDirectory(join(own, 'data')),
    'keep a time': () => keepingTime(join(own, 'data'), () => undefined),
  };
  for (const [what, attempt] of Object.entries(attempts)) {
    await assert.rejects(async () => attempt(), what);
    assert.deepEqual(compareTrees(before, snapshotTree(outside)), [], what);
  }
  assert.ok(!existsSync(join(base, 'stolen.tar.zst')));
});

test('a link in the place of what is in it is not followed either', async () => {
  mkdirSync(own, { mode: 0o700 });
  symlinkSync(join(outside, 'data'), join(own, 'data'));
  writeFileSync(join(base, 'victim'), 'precious');
  symlinkSync(join(base, 'victim'), join(own, '.data.first'));
  const before = snapshotTree(outside);
  await assert.rejects(archiver.copy(copy({ previousIndex: '/dev/null' })));
  await assert.rejects(archiver.copy(copy({ destination: join(own, 'new'), index: join(own, '.data.first') })));
  await assert.rejects(archiver.pack({ root: join(own, 'data'), archive: join(base, 'stolen.tar.zst') }));
  await assert.rejects(archiver.measure(join(own, 'data')));
  await assert.rejects(archiver.extract({ ...extraction, destination: join(own, 'data') }));
  await assert.rejects(removeTree(join(own, 'data')));
  assert.deepEqual(compareTrees(before, snapshotTree(outside)), []);
  assert.equal(readFileSync(join(base, 'victim'), 'utf8'), 'precious');
});

test('an index that names what is outside removes nothing there', async () => {
  mkdirSync(own, { mode: 0o700 });
  await archiver.copy(copy({ index: join(own, '.data.first') }));
  for (const path of ['../../../outside/data/precious', '/etc/hostname', 'a/../../x', '.', 'a//b', 7]) {
    writeFileSync(join(own, '.data.first'), `["","d"]\n${JSON.stringify([path, 'f'])}\n`);
    await assert.rejects(archiver.copy(copy({ previousIndex: join(own, '.data.first') })), String(path));
  }
  assert.ok(existsSync(join(outside, 'data', 'precious')));
});

test('put there in the middle of an extraction it leads nowhere', async () => {
  mkdirSync(own, { mode: 0o700 });
  mkdirSync(join(outside, 'new'));
  const before = snapshotTree(outside);
  const extracted = archiver.extract({ ...extraction, destination: join(own, 'new') }).then(
    (summary) => summary.warnings ?? [],
    (error: Error) => error,
  );
  while (!existsSync(join(own, 'new', 'file-1'))) await delay(1);
  renameSync(own, join(live, 'moved'));
  symlinkSync(outside, own);
  const ended = await extracted;
  assert.deepEqual(compareTrees(before, snapshotTree(outside)), []);
  // Complete where it was begun, or given up.
  const there = readdirSync(join(live, 'moved', 'new')).length;
  assert.equal(there, ended instanceof Error ? 0 : MANY, String(ended));
});

test('without a link it is one directory like another, behind the whole wall', async () => {
  mkdirSync(own, { mode: 0o700 });
  const summary = await archiver.extract({ ...extraction, destination: join(own, 'new') });
  assert.equal(summary.warnings, undefined);
  assert.deepEqual(compareTrees(snapshotTree(join(base, 'many')), snapshotTree(join(own, 'new'))), []);
  await archiver.copy(copy({ index: join(own, '.data.first') }));
  assert.equal(readFileSync(join(own, 'data', 'file'), 'utf8'), 'of the application');
});

test('it may lie right below the root of the file system', async () => {
  const top = `/.refloat-${newId()}`;
  try {
    makeDirectoryDurably(top, 0o700);
    await archiver.extract({ ...extraction, destination: join(top, 'data') });
    assert.deepEqual(compareTrees(snapshotTree(join(base, 'many')), snapshotTree(join(top, 'data'))), []);
    await removeTree(top);
    assert.ok(!existsSync(top));
  } finally {
    rmSync(top, { recursive: true, force: true });
  }
});
