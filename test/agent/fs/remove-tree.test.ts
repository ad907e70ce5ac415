import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { removeTree } from '../../../agent/fs/remove-tree.ts';

const root = mkdtempSync(join(tmpdir(), 'refloat-remove-'));
after(() => execFileSync('rm', ['-rf', root]));

test('symbolic links are removed, what they point to stays', async () => {
  const outside = join(root, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'precious'), 'x');
  const tree = join(root, 'tree');
  mkdirSync(join(tree, 'sub'), { recursive: true });
  symlinkSync(outside, join(tree, 'sub', 'link'));
  await removeTree(tree);
  assert.ok(!existsSync(tree));
  assert.equal(readFileSync(join(outside, 'precious'), 'utf8'), 'x');
  await removeTree(tree);
});

test('a link in place of the tree is not followed', async () => {
  const outside = join(root, 'outside2');
  mkdirSync(outside);
  symlinkSync(outside, join(root, 'link'));
  await assert.rejects(removeTree(join(root, 'link')));
  assert.ok(existsSync(outside));
  rmSync(join(root, 'link'));
});

test('names that are not UTF-8 and paths beyond PATH_MAX go too', async () => {
  const tree = join(root, 'deep');
  mkdirSync(tree);
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0x0a, 0x2d])]), 'x');
  execFileSync('sh', [
    '-c',
    'cd "$1"; n=$(printf "%0200d" 0); i=0; while [ $i -lt 40 ]; do mkdir "$n" && cd -P "./$n" || exit 1; i=$((i+1)); done; : > file',
    'sh',
    tree,
  ]);
  await removeTree(tree);
  assert.ok(!existsSync(tree));
});
