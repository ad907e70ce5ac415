/** The page of the README for the day when there is nothing but zstd and tar: its lines are run as they stand there. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createSnapshot } from '../../../agent/snapshots/create-snapshot.ts';
import { snapshotStore } from '../../../agent/snapshots/store.ts';
import { newId } from '../../../db/ids.ts';
import { mountLoop } from '../../helpers/loop-fs.ts';
import { makeRichTree } from '../../helpers/rich-tree.ts';
import { createArchiver } from '../../helpers/shipped-archiver.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const fs = mountLoop('ext4', 512 * 1024 * 1024);
after(fs.unmount);

/** The commands of the page, with this test's directories for the host's. */
function commands(): string {
  const readme = readFileSync(join(import.meta.dirname, '../../../README.md'), 'utf8');
  const page = readme.split('## Restore by hand with only zstd and tar\n')[1]?.split('\n## ')[0] ?? '';
  const [, block = ''] = /```sh\n([^`]*(?:`[^`]+`[^`]*)*)```/.exec(page) ?? [];
  assert.match(block, /zstd -dc .* \| tar -x/);
  return block
    .replaceAll('/var/lib/refloat', join(fs.path, 'state'))
    .replaceAll('/srv/restored', join(fs.path, 'restored'));
}

test('a snapshot is checked and restored by hand, with everything in it', async () => {
  const source = join(fs.path, 'source');
  makeRichTree(source, { sparseBytes: 64 * 1024 * 1024, portable: true });
  mkdirSync(join(fs.path, 'empty'));
  const before = snapshotTree(source);
  const volume = (name: string, path: string) => ({
    name,
    scope: 'project' as const,
    source: name,
    target: `/${name}`,
    path,
  });
  const { id, path } = await createSnapshot({
    store: snapshotStore(join(fs.path, 'state')),
    archiver: createArchiver(),
    id: newId(),
    kind: 'capture',
    workload: { id: newId(), name: 'w' },
    image: 'i:1',
    imageId: '',
    volumes: [volume('data', source), volume('empty', join(fs.path, 'empty'))],
    intentId: newId(),
    capturedAt: new Date(),
    protectedUntil: null,
  });
  const run = (): string =>
    execFileSync('bash', ['--norc', '-euc', commands()], { env: { ...process.env, ID: id }, encoding: 'utf8' });
  assert.match(run(), /data\.tar\.zst: OK\nempty\.tar\.zst: OK\n/);
  assert.deepEqual(compareTrees(before, snapshotTree(join(fs.path, 'restored'))), []);
  // The page must notice a damaged archive before anything is unpacked.
  execFileSync('rm', ['-r', join(fs.path, 'restored')]);
  truncateSync(join(path, 'empty.tar.zst'), 10);
  assert.throws(run, (error: Error & { stdout: string }) => error.stdout.includes('empty.tar.zst: FAILED'));
});
