/** What a restore would change in a tree, told before it does. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createArchiver } from '../../helpers/shipped-archiver.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const archiver = createArchiver();
const base = mkdtempSync(join(tmpdir(), 'refloat-compare-'));
after(() => rmSync(base, { recursive: true, force: true }));

const FILL = `set -e; cd "$1"; for name in same size mode owner time content type link-to-file gone; do echo "$name" > "$name"; done
  mkdir dir lost dir/deep; echo x > dir/deep/file; echo y > lost/a; echo z > lost/b; ln -s one link; ln same hard; ln content unlinked; mkdir unchanged
  touch -h -d @1500000000.123456789 * dir/deep/file`;
/** One change of each kind; \`content\` keeps size and time, which is as if nothing had changed. */
const CHANGE = `set -e; cd "$1"; printf 1234567890 > size; touch -d @1500000000.123456789 size; chmod 0600 mode; chown 5 owner; touch -d @1500000000.123456788 time
  rm type link; mkdir type; ln -s two link; touch -h -d @1500000000.123456789 link; rm -r lost gone; rm unlinked; echo content > unlinked
  echo new > "new
file"; mkdir new-dir; touch new-dir/inside; chmod 0700 dir`;

function pair(name: string): { tree: string; archive: string } {
  const tree = join(base, name);
  mkdirSync(tree);
  execFileSync('bash', ['--norc', '-c', FILL, 'bash', tree]);
  return { tree, archive: `${tree}.tar.zst` };
}

const rules = { policy: 'faithful', names: 20, milliseconds: 60_000 } as const;

test('each kind of difference is counted and named, and nothing is written', async () => {
  const { tree, archive } = pair('kinds');
  const { entries } = await archiver.pack({ root: tree, archive });
  const nothing = await archiver.compare({ ...rules, archive, root: tree });
  const none = { count: 0, names: [] };
  assert.deepEqual(nothing, { complete: true, unchanged: entries, added: none, changed: none, removed: none });

  execFileSync('bash', ['--norc', '-c', CHANGE, 'bash', tree]);
  const before = snapshotTree(tree);
  const found = await archiver.compare({ ...rules, archive, root: tree });
  assert.deepEqual(compareTrees(before, snapshotTree(tree)), []);
  assert.equal(found.complete, true);
  assert.deepEqual([...found.added.names].sort(), ['gone', 'lost', 'lost/a', 'lost/b']);
  assert.deepEqual([...found.changed.names].sort(), [
    'dir',
    'link',
    'mode',
    'owner',
    'size',
    'time',
    'type',
    'unlinked',
  ]);
  assert.deepEqual([...found.removed.names].sort(), ['new-dir', 'new-dir/inside', 'new\\x0afile']);
  assert.equal(found.unchanged + found.changed.count + found.added.count, entries);
});

test('a volume that does not exist gets all of it; names end where the list is full, counts do not', async () => {
  const { tree, archive } = pair('all');
  const { entries } = await archiver.pack({ root: tree, archive });
  const found = await archiver.compare({ ...rules, names: 3, archive, root: null });
  assert.deepEqual([found.added.count, found.added.names.length, found.unchanged], [entries, 3, 0]);
  const empty = join(base, 'empty');
  mkdirSync(empty);
  assert.equal((await archiver.compare({ ...rules, archive, root: empty })).added.count, entries - 1);
});

test('when its time is over it says that it has not seen all', async () => {
  const { tree, archive } = pair('late');
  execFileSync('bash', ['--norc', '-c', 'cd "$1"; for i in $(seq 2000); do : > "$i"; done', 'bash', tree]);
  await archiver.pack({ root: tree, archive });
  const found = await archiver.compare({ ...rules, milliseconds: 0, archive, root: tree });
  assert.equal(found.complete, false);
  assert.ok(found.unchanged < 2000);
});
