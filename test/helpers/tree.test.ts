import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { compareTrees, snapshotTree } from './tree.ts';

const base = mkdtempSync(join(tmpdir(), 'refloat-tree-'));
after(() => rmSync(base, { recursive: true, force: true }));

/** A small tree with one of everything. */
function makeTree(name: string): string {
  const root = join(base, name);
  mkdirSync(join(root, 'dir', 'empty'), { recursive: true });
  writeFileSync(join(root, 'dir', 'file'), 'content');
  linkSync(join(root, 'dir', 'file'), join(root, 'link'));
  writeFileSync(join(root, 'twin-a'), 'same');
  writeFileSync(join(root, 'twin-b'), 'same');
  symlinkSync('target', join(root, 'symlink'));
  linkSync(join(root, 'symlink'), join(root, 'symlink-again'));
  writeFileSync(join(root, 'é'.normalize('NFC')), '');
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x0a])]), '');
  writeFileSync(join(root, 'sparse'), 'x');
  truncateSync(join(root, 'sparse'), 4 * 1024 * 1024);
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'yes', join(root, 'twin-a')]);
  execFileSync('setfattr', ['-n', 'user.binary', '-v', '0x0001ff', join(root, 'dir')]);
  execFileSync('setfattr', ['-h', '-n', 'trusted.note', '-v', 'yes', join(root, 'symlink')]);
  utimesSync(join(root, 'é'.normalize('NFC')), 1000, 1000.25);
  utimesSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x0a])]), 1000, 1000.25);
  for (const path of ['dir/empty', 'dir/file', 'dir', 'twin-a', 'twin-b', 'sparse', '.'])
    utimesSync(join(root, path), 1000, 1000.25);
  lutimesSync(join(root, 'symlink'), 1000, 1000);
  return root;
}

const at = (root: string, ...rest: string[]): string => join(root, ...rest);
const stamp = (path: string): void => utimesSync(path, 1000, 1000.25);

const MUTATIONS: Readonly<Record<string, (root: string) => void>> = {
  'one byte of a file': (root) => {
    writeFileSync(at(root, 'twin-b'), 'samf');
    stamp(at(root, 'twin-b'));
  },
  'a file more': (root) => {
    writeFileSync(at(root, 'more'), '');
    stamp(root);
  },
  'a file less': (root) => {
    unlinkSync(at(root, 'twin-b'));
    stamp(root);
  },
  'an empty directory less': (root) => {
    rmdirSync(at(root, 'dir/empty'));
    stamp(at(root, 'dir'));
  },
  'a name': (root) => {
    renameSync(at(root, 'twin-b'), at(root, 'twin-c'));
    stamp(root);
  },
  'the form in which a name is composed': (root) => {
    renameSync(at(root, 'é'.normalize('NFC')), at(root, 'é'.normalize('NFD')));
    stamp(root);
  },
  'one byte of a name that is not text': (root) => {
    const name = (byte: number): Buffer => Buffer.concat([Buffer.from(`${root}/`), Buffer.from([byte, 0x0a])]);
    renameSync(name(0xff), name(0xfe));
    stamp(root);
  },
  'two names of one symlink that became two symlinks': (root) => {
    unlinkSync(at(root, 'symlink-again'));
    symlinkSync('target', at(root, 'symlink-again'));
    lutimesSync(at(root, 'symlink-again'), 1000, 1000);
    execFileSync('setfattr', ['-h', '-n', 'trusted.note', '-v', 'yes', at(root, 'symlink-again')]);
    stamp(root);
  },
  'the attribute of a symlink': (root) =>
    void execFileSync('setfattr', ['-h', '-n', 'trusted.note', '-v', 'no', at(root, 'symlink')]),
  'one byte of a binary attribute of a directory': (root) =>
    void execFileSync('setfattr', ['-n', 'user.binary', '-v', '0x0001fe', at(root, 'dir')]),
  'an ACL that leaves the mode as it is': (root) => {
    execFileSync('setfacl', ['-m', 'u:1234:r--,m::r--', at(root, 'twin-b')]);
  },
  'a default ACL': (root) => void execFileSync('setfacl', ['-m', 'd:u:77:rw-', at(root, 'dir/empty')]),
  'a file capability': (root) => void execFileSync('setcap', ['cap_net_bind_service=+ep', at(root, 'twin-b')]),
  'an owner beyond 31 bits': (root) => chownSync(at(root, 'twin-b'), 4_294_967_294, 0),
  'the owner of the root': (root) => chownSync(root, 12, 0),
  'the time of the root': (root) => utimesSync(root, 1000, 1001),
  'the time of a file by a nanosecond': (root) =>
    void execFileSync('touch', ['-d', '@1000.250000001', at(root, 'twin-b')]),
  'a time before 1970': (root) => void execFileSync('touch', ['-d', '@-1000.25', at(root, 'twin-b')]),
  'a time after 2038': (root) => void execFileSync('touch', ['-d', '@4102444800', at(root, 'twin-b')]),
  'the mode of a file': (root) => chmodSync(at(root, 'twin-b'), 0o4644),
  'the mode of the root': (root) => chmodSync(root, 0o1755),
  'the owner': (root) => chownSync(at(root, 'twin-b'), 12, 0),
  'the group': (root) => chownSync(at(root, 'twin-b'), 0, 12),
  'the time of a file by a millisecond': (root) => utimesSync(at(root, 'twin-b'), 1000, 1000.251),
  'the time of a directory': (root) => utimesSync(at(root, 'dir'), 1000, 1001),
  'the time of a symlink': (root) => lutimesSync(at(root, 'symlink'), 1000, 1001),
  'the target of a symlink': (root) => {
    unlinkSync(at(root, 'symlink'));
    symlinkSync('targes', at(root, 'symlink'));
    lutimesSync(at(root, 'symlink'), 1000, 1000);
    stamp(root);
  },
  'a symlink for the file it points to': (root) => {
    unlinkSync(at(root, 'symlink'));
    writeFileSync(at(root, 'symlink'), '');
    stamp(root);
  },
  'an attribute less': (root) => void execFileSync('setfattr', ['-x', 'user.note', at(root, 'twin-a')]),
  'the value of an attribute': (root) =>
    void execFileSync('setfattr', ['-n', 'user.note', '-v', 'no', at(root, 'twin-a')]),
  'a hard link that became a copy': (root) => {
    unlinkSync(at(root, 'link'));
    copyFileSync(at(root, 'dir/file'), at(root, 'link'));
    stamp(at(root, 'link'));
    stamp(root);
  },
  'two equal files that became one': (root) => {
    execFileSync('setfattr', ['-x', 'user.note', at(root, 'twin-a')]);
    execFileSync('setfattr', ['-n', 'user.note', '-v', 'yes', at(root, 'twin-b')]);
    unlinkSync(at(root, 'twin-a'));
    linkSync(at(root, 'twin-b'), at(root, 'twin-a'));
    stamp(root);
  },
  'a sparse file that was filled': (root) => {
    writeFileSync(at(root, 'sparse'), readFileSync(at(root, 'sparse')));
    stamp(at(root, 'sparse'));
  },
};

test('two trees made the same way are the same', () => {
  assert.deepEqual(compareTrees(snapshotTree(makeTree('a')), snapshotTree(makeTree('b'))), []);
});

for (const [what, mutate] of Object.entries(MUTATIONS)) {
  test(`a difference in ${what} is seen`, () => {
    const root = makeTree(`m-${what.replaceAll(' ', '-')}`);
    const before = snapshotTree(root);
    mutate(root);
    assert.notDeepEqual(compareTrees(before, snapshotTree(root)), []);
  });
}

test('a plain recursive copy loses what the helper watches', () => {
  const root = makeTree('copy');
  const copy = join(base, 'copied');
  cpSync(root, copy, { recursive: true });
  assert.ok(compareTrees(snapshotTree(root), snapshotTree(copy)).length > 3);
});
