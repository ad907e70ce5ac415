/** What other tools' trees are taken for, and what is too ambiguous to be taken for anything. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { findVolumes, type LayoutInput } from '../../../agent/import/layout.ts';
import type { RefloatError } from '../../../db/errors.ts';
import { namedArchives } from '../../../db/named-archives.ts';

const base = mkdtempSync(join(tmpdir(), 'refloat-layout-'));
after(() => rmSync(base, { recursive: true, force: true }));
let number = 0;

/** A tree with these files; a name that ends in a slash is a directory. */
function unpacked(...names: readonly string[]): string {
  const root = join(base, String(++number));
  mkdirSync(root);
  for (const name of names) {
    mkdirSync(join(root, name.endsWith('/') ? name : dirname(name)), { recursive: true });
    if (!name.endsWith('/')) writeFileSync(join(root, name), '');
  }
  return root;
}

const input = (root: string, more: Partial<LayoutInput> = {}): LayoutInput => ({
  root,
  hasRoot: false,
  file: 'backup.tar.gz',
  wanted: [],
  volumes: ['data'],
  ...more,
});
const places = (layout: LayoutInput): string[] =>
  findVolumes(layout).found.map(({ volume, inside }) => `${volume}=${inside}`);
const refusedAs = (code: string) => (error: RefloatError) => error.code === code && error.hint.length > 0;

test('an archive that describes its root is the volume itself, whatever is in it', () => {
  assert.deepEqual(places(input(unpacked('backup/data/f'), { hasRoot: true })), ['data=']);
  assert.deepEqual(places(input(unpacked('a', 'b'))), ['data=']);
  assert.deepEqual(places(input(unpacked())), ['data=']);
});

test('directories below backup/ are volumes by their names; others are left out by name', () => {
  const root = unpacked('backup/data/f', 'backup/uploads/f', 'backup/other/f');
  const layout = findVolumes(input(root, { volumes: ['data', 'uploads', 'cache'] }));
  assert.deepEqual(
    layout.found.map(({ inside }) => inside),
    ['backup/data', 'backup/uploads'],
  );
  assert.equal(layout.warnings.length, 1);
  assert.match(layout.warnings[0] ?? '', /backup\/other/);
});

test('one directory below backup/ is the one volume, whatever it is called', () => {
  assert.deepEqual(places(input(unpacked('backup/my-app-backup/f'))), ['data=backup/my-app-backup']);
});

test('a file beside the directories below backup/ makes it an ordinary volume', () => {
  assert.deepEqual(places(input(unpacked('backup/d/f', 'backup/file'))), ['data=']);
  assert.deepEqual(places(input(unpacked('backup/d/f', 'other'))), ['data=']);
});

test('a single directory of the name that volumes have is the volume', () => {
  assert.deepEqual(places(input(unpacked('_data/f'))), ['data=_data']);
  assert.deepEqual(places(input(unpacked('data/f'))), ['data=data']);
  assert.deepEqual(places(input(unpacked('pgdata/f'))), ['data=']);
});

test('the name of the archive decides between several volumes; without it a person must', () => {
  const root = unpacked('f');
  const volumes = ['data', 'data-old', 'uploads'];
  assert.deepEqual(places(input(root, { volumes, file: '/b/data-2026-01-31.tar.gz' })), ['data=']);
  assert.deepEqual(places(input(root, { volumes, file: 'data-old.tar' })), ['data-old=']);
  assert.throws(() => findVolumes(input(root, { volumes })), refusedAs('IMPORT_AMBIGUOUS'));
  assert.throws(() => findVolumes(input(root, { volumes, file: 'database.tar' })), refusedAs('IMPORT_AMBIGUOUS'));
});

test('several directories below backup/ and none of the name that is wanted is ambiguous', () => {
  const root = unpacked('backup/a/f', 'backup/b/f');
  assert.throws(() => findVolumes(input(root, { wanted: [{ volume: 'data' }] })), refusedAs('IMPORT_AMBIGUOUS'));
  assert.deepEqual(places(input(root, { wanted: [{ volume: 'data', inside: 'backup/b' }] })), ['data=backup/b']);
  assert.deepEqual(places(input(root, { wanted: [{ volume: 'data', inside: '.' }] })), ['data=']);
});

test('what a person names inside must be a directory, reached through directories alone', () => {
  const root = unpacked('d/e/f');
  symlinkSync('/etc', join(root, 'link'));
  for (const inside of ['missing', 'd/e/f', 'link', 'link/ssh', '../x', 'd/../../x'])
    assert.throws(
      () => findVolumes(input(root, { wanted: [{ volume: 'data', inside }] })),
      refusedAs('VALIDATION_FAILED'),
      inside,
    );
  assert.deepEqual(places(input(root, { wanted: [{ volume: 'data', inside: './d//e/' }] })), ['data=d/e']);
});

test('both command lines name archives the same way', () => {
  assert.deepEqual(namedArchives(['a.tar'], [], []), [{ file: 'a.tar' }]);
  assert.deepEqual(namedArchives(['a.tar'], ['x=b.tar'], ['x=p=q']), [
    { file: 'b.tar', volume: 'x', inside: 'p=q' },
    { file: 'a.tar' },
  ]);
  assert.deepEqual(namedArchives(['a.tar'], [], ['x=p', 'y=q']), [
    { file: 'a.tar', volume: 'x', inside: 'p' },
    { file: 'a.tar', volume: 'y', inside: 'q' },
  ]);
  for (const [files, volumes, insides] of [
    [[], [], []],
    [['a'], ['x'], []],
    [['a'], ['=f'], []],
    [['a', 'b'], [], ['x=p']],
  ] as const)
    assert.throws(() => namedArchives(files, volumes, insides), refusedAs('USAGE'));
});
