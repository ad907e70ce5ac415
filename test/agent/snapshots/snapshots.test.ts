/** Snapshots on the disk: complete or not there; anything that was changed afterwards is found out by name. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type CreateSnapshotOptions, createSnapshot } from '../../../agent/snapshots/create-snapshot.ts';
import { deleteSnapshot } from '../../../agent/snapshots/delete-snapshot.ts';
import { readManifestOf } from '../../../agent/snapshots/read-manifest.ts';
import { listSnapshots, removeLeftovers, snapshotStore } from '../../../agent/snapshots/store.ts';
import type { RefloatError } from '../../../db/errors.ts';
import { newId } from '../../../db/ids.ts';
import { createArchiver } from '../../helpers/shipped-archiver.ts';

const root = mkdtempSync(join(tmpdir(), 'rfsn-'));
after(() => rmSync(root, { recursive: true, force: true }));
const store = snapshotStore(join(root, 'state'));
const live = join(root, 'live');
mkdirSync(live);
writeFileSync(join(live, 'file'), 'contents');

function options(more: Partial<CreateSnapshotOptions> = {}): CreateSnapshotOptions {
  return {
    store,
    archiver: createArchiver(),
    id: newId(),
    kind: 'capture',
    workload: { id: newId(), name: 'w' },
    image: 'i:1',
    imageId: 'sha256:1',
    volumes: [{ name: 'data', scope: 'project', source: 'data', target: '/data', path: live }],
    intentId: newId(),
    capturedAt: new Date(),
    protectedUntil: null,
    ...more,
  };
}
const code = (expected: string) => (error: RefloatError) => error.code === expected;

test('a snapshot is complete, opens with zstd and tar, and is made once for one id', async () => {
  const wanted = options();
  const made = await createSnapshot(wanted);
  assert.equal(
    execFileSync('sh', [
      '-c',
      `zstd -dc ${join(made.path, 'data.tar.zst')} | tar -xO ./file 2>/dev/null || zstd -dc ${join(made.path, 'data.tar.zst')} | tar -xO file`,
    ]).toString(),
    'contents',
  );
  const before = readFileSync(join(made.path, 'manifest.json'), 'utf8');
  writeFileSync(join(live, 'later'), '');
  const again = await createSnapshot(wanted);
  rmSync(join(live, 'later'));
  assert.equal(again.manifestSha256, made.manifestSha256);
  assert.equal(readFileSync(join(made.path, 'manifest.json'), 'utf8'), before);
  assert.deepEqual(
    readManifestOf(store, made, made.workloadId).volumes.map((volume) => volume.counts.entries),
    [2],
  );
});

test('what was changed after it was made is refused by name', async () => {
  const made = await createSnapshot(options());
  const [manifest, archive] = [join(made.path, 'manifest.json'), join(made.path, 'data.tar.zst')];
  const text = readFileSync(manifest, 'utf8');
  writeFileSync(manifest, text.replace('"w"', '"x"'));
  assert.throws(() => readManifestOf(store, made, made.workloadId), code('MANIFEST_CHANGED'));
  rmSync(manifest);
  assert.throws(() => readManifestOf(store, made, made.workloadId), code('MANIFEST_MISSING'));
  writeFileSync(manifest, text);
  truncateSync(archive, made.volumes[0]?.archiveBytes === undefined ? 0 : made.volumes[0].archiveBytes - 1);
  assert.throws(() => readManifestOf(store, made, made.workloadId), code('ARCHIVE_CHANGED'));
  rmSync(archive);
  assert.throws(() => readManifestOf(store, made, made.workloadId), code('ARCHIVE_MISSING'));
});

test('a manifest that names a file outside its directory, a newer version, or an unknown member is not used', async () => {
  const { readSnapshotDirectory } = await import('../../../agent/snapshots/read-manifest.ts');
  const made = await createSnapshot(options());
  const manifest = JSON.parse(readFileSync(join(made.path, 'manifest.json'), 'utf8'));
  const volume = manifest.volumes[0];
  for (const changed of [
    { ...manifest, version: 2 },
    { ...manifest, more: 1 },
    { ...manifest, volumes: [] },
    { ...manifest, volumes: [volume, volume] },
    { ...manifest, volumes: [{ ...volume, archive: '../../x.tar.zst' }] },
    { ...manifest, volumes: [{ ...volume, name: '../x', archive: '../x.tar.zst' }] },
  ]) {
    writeFileSync(join(made.path, 'manifest.json'), JSON.stringify(changed));
    assert.throws(() => readSnapshotDirectory(made.path), code('MANIFEST_INVALID'));
  }
});

test('two snapshots exchanged by hand are found out', async () => {
  const [a, b] = [await createSnapshot(options()), await createSnapshot(options())];
  rmSync(a.path, { recursive: true });
  renameSync(b.path, a.path);
  assert.throws(
    () => readManifestOf(store, { id: a.id, manifestSha256: b.manifestSha256 }, a.workloadId),
    code('MANIFEST_CHANGED'),
  );
});

test('a failure leaves nothing, an abort neither, and leftovers of a crash are removed', async () => {
  const missing = options({
    volumes: [{ name: 'data', scope: 'project', source: 'x', target: '/x', path: join(root, 'nowhere') }],
  });
  await assert.rejects(createSnapshot(missing));
  await assert.rejects(createSnapshot(options({ signal: AbortSignal.abort(new Error('stop')) })));
  assert.deepEqual(
    readdirSync(store.directory).filter((name) => name.startsWith('.')),
    [],
  );
  const crashed = newId();
  mkdirSync(join(store.directory, `.partial-${crashed}`));
  mkdirSync(join(store.directory, `.deleted-${crashed}`));
  assert.equal((await removeLeftovers(store)).length, 2);
  assert.equal(listSnapshots(store).includes(crashed), false);
});

test('deleting is repeatable, and goes on where a crash stopped it', async () => {
  const made = await createSnapshot(options());
  renameSync(made.path, join(store.directory, `.deleted-${made.id}`));
  assert.equal(await deleteSnapshot(store, made.id), true);
  assert.equal(await deleteSnapshot(store, made.id), false);
  assert.equal(existsSync(join(store.directory, `.deleted-${made.id}`)), false);
  assert.throws(() => store.directoryOf('../x'));
});
