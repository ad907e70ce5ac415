/** Backups of other tools become snapshots that are listed and restored like any other, from both command lines. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { testEngine } from '../helpers/engine.ts';
import { waitFor } from '../helpers/host.ts';
import { type RunningAgent, startStack } from '../helpers/stack.ts';
import { entry, tar } from '../helpers/tar-builder.ts';

const engine = await testEngine();
engine.removeAllAtEnd();
const stack = await startStack(engine);
const imports = join(stack.allowedRoot, 'imports');
mkdirSync(imports);
const environment = { REFLOAT_IMPORT_DIR: imports };
let agent: RunningAgent;
before(async () => {
  agent = await stack.startAgent(environment);
});
after(() => agent.stop());

const volume = (name: string, source: string) => ({
  name,
  scope: 'project' as const,
  source,
  target: `/volumes/${name}`,
});
const live = (source: string, ...rest: string[]): string => join(stack.volumeBase, 'p', source, ...rest);
let made = 0;

async function workload() {
  const number = ++made;
  const sources = { data: `data-${number}`, uploads: `uploads-${number}` };
  const { id, name } = await stack.createWorkload({
    name: `import-${number}-${process.pid}`,
    replicas: 0,
    volumes: [volume('data', sources.data), volume('uploads', sources.uploads)],
  });
  for (const source of Object.values(sources)) mkdirSync(live(source), { recursive: true });
  return { id, name, sources };
}

const snapshotsOf = async (id: string) => (await stack.call('GET', `/api/workloads/${id}/snapshots`)).body.snapshots;
const storeEntries = (): string[] => readdirSync(join(stack.stateDir, 'snapshots')).sort();

async function restored(name: string, snapshotId: string): Promise<void> {
  const { code, json, stderr } = await stack.refloat(['restore', name, snapshotId, '--confirm', name, '--wait']);
  assert.equal(code, 0, `${JSON.stringify(json)}${stderr}`);
}

/** As offen/docker-volume-backup writes: absolute names, directories without a slash at their end. */
const OFFEN = tar(
  entry({ name: '/backup', type: '5', mode: 0o755 }),
  entry({ name: '/backup/data', type: '5', mode: 0o2750, uid: 70, gid: 71 }),
  entry({ name: '/backup/data/table', body: 'rows', mode: 0o640, uid: 70, gid: 71, mtime: 1_600_000_000 }),
  entry({ name: '/backup/data/current', type: '2', linkName: 'table' }),
  entry({ name: '/backup/data/pipe', type: '6' }),
  entry({ name: '/backup/data/tool', body: '#!', mode: 0o4755 }),
  entry({ name: '/backup/uploads', type: '5', mode: 0o755 }),
  entry({ name: '/backup/uploads/picture', body: 'pixels' }),
  entry({ name: '/backup/else', type: '5' }),
);

test('an archive of offen/docker-volume-backup becomes a snapshot of every volume in it, and is restored', async () => {
  const { id, name, sources } = await workload();
  const file = join(stack.allowedRoot, 'backup-offen.tar.gz');
  writeFileSync(file, gzipSync(OFFEN));
  utimesSync(file, 1_700_000_000, 1_700_000_000);
  const { code, json, stderr } = await stack.agent(['import', file, '--workload', name]);
  assert.equal(code, 0, `${JSON.stringify(json)}${stderr}`);
  assert.equal(json.ok, true);
  assert.equal(json.policy, 'strict');
  assert.equal(json.registered, true, JSON.stringify(json.warnings));
  assert.equal(json.capturedAt, '2023-11-14T22:13:20.000Z', 'when the backup was made, not when it was imported');
  assert.deepEqual(
    json.skipped.map(({ volume: of, path, reason }: Record<string, string>) => `${of}: ${reason} ${path}`).sort(),
    ['data: fifo pipe', 'data: set-id-dropped tool', 'data: symlink current'],
  );
  assert.ok(json.warnings.some((warning: string) => warning.includes('backup/else')));

  const [snapshot] = await snapshotsOf(id);
  assert.equal(snapshot.id, json.snapshotId);
  assert.equal(snapshot.kind, 'imported');
  assert.equal(snapshot.origin.policy, 'strict');
  assert.match(snapshot.origin.importedBy, /^local:/);
  assert.equal(snapshot.volumes.find((each: { name: string }) => each.name === 'data').skipped, 3);
  const { code: verified } = await stack.agent(['verify', json.path]);
  assert.equal(verified, 0);

  writeFileSync(live(sources.data, 'live'), 'old');
  await restored(name, snapshot.id);
  assert.deepEqual(readdirSync(live(sources.data)).sort(), ['table', 'tool']);
  assert.equal(readFileSync(live(sources.data, 'table'), 'utf8'), 'rows');
  const [root, table, tool] = ['.', 'table', 'tool'].map((path) => statSync(live(sources.data, path)));
  assert.deepEqual([root?.mode, root?.uid, root?.gid], [0o42750, 70, 71]);
  assert.deepEqual([table?.mode, table?.uid, table?.mtimeMs], [0o100640, 70, 1_600_000_000_000]);
  assert.equal(tool?.mode, 0o100755);
  assert.equal(readFileSync(live(sources.uploads, 'picture'), 'utf8'), 'pixels');
});

test('an import intent reads loomchild/volume-backup and plain tar from the import directory, faithfully if a person says so', async () => {
  const { id, name, sources } = await workload();
  const source = join(stack.allowedRoot, 'source');
  mkdirSync(source);
  writeFileSync(join(source, 'file'), 'one inode');
  execFileSync('sh', ['-c', 'cd "$1" && ln file hard && ln -s /etc/passwd soft && chmod 0710 .', 'sh', source]);
  execFileSync('tar', ['-C', source, '-czf', join(imports, 'loomchild.tar.gz'), './']);
  mkdirSync(join(imports, 'nightly'));
  writeFileSync(
    join(imports, 'nightly', 'uploads-2026.tar.zst'),
    zstdCompressSync(tar(entry({ name: 'a', body: 'plain' }))),
  );
  const { code, json, stderr } = await stack.refloat([
    ...['import', name, 'nightly/uploads-2026.tar.zst', '--volume', 'data=loomchild.tar.gz'],
    ...['--faithful', '--wait'],
  ]);
  assert.equal(code, 0, `${JSON.stringify(json)}${stderr}`);
  const { result } = json.intent;
  assert.equal(result.policy, 'faithful');
  assert.deepEqual(result.skipped, []);
  assert.ok(
    result.warnings.some((warning: string) => warning.includes('does not describe the root of volume "uploads"')),
  );

  await restored(name, result.snapshotId);
  assert.equal(readlinkSync(live(sources.data, 'soft')), '/etc/passwd');
  assert.equal(statSync(live(sources.data, 'file')).nlink, 2);
  assert.equal(statSync(live(sources.data)).mode, 0o40710);
  assert.equal(readFileSync(live(sources.uploads, 'a'), 'utf8'), 'plain');
  assert.equal(statSync(live(sources.uploads)).mode, 0o40755);

  const { body } = await stack.call('GET', '/api/audit?limit=500');
  const rows = body.audit as { action: string; actor: string; target: string; details: Record<string, unknown> }[];
  const asked = rows.find((row) => row.action === 'importSnapshot' && row.target === `intent:${json.intent.id}`);
  assert.equal(asked?.details['policy'], 'faithful');
  const done = rows.find((row) => row.action === 'snapshot.imported' && row.target === `snapshot:${result.snapshotId}`);
  assert.equal(done?.details['policy'], 'faithful');
  assert.equal(done?.details['importedBy'], json.intent.requestedBy);
  assert.equal(done?.details['workloadId'], id);
});

test('an import intent reads nothing outside the import directory, and a hostile archive leaves nothing', async () => {
  const { id } = await workload();
  const before = storeEntries();
  const ended = async (file: string) => {
    const { status, body } = await stack.call('POST', `/api/workloads/${id}/imports`, {
      body: { archives: [{ file, volume: 'data' }] },
    });
    return status === 202 ? (await stack.finished(body.id)).error.code : `${status} ${body.code}`;
  };
  const outside = join(stack.allowedRoot, 'outside.tar');
  writeFileSync(outside, tar(entry({ name: 'a' })));
  symlinkSync(outside, join(imports, 'link.tar'));
  symlinkSync(stack.allowedRoot, join(imports, 'folder'));
  writeFileSync(join(imports, 'hostile.tar'), tar(entry({ name: '../../a' })));
  writeFileSync(
    join(imports, 'through.tar'),
    tar(entry({ name: 's', type: '2', linkName: '/etc' }), entry({ name: 's/x' })),
  );
  assert.equal(await ended('../outside.tar'), '422 VALIDATION_FAILED');
  assert.equal(await ended('/etc/passwd'), '422 VALIDATION_FAILED');
  assert.equal(await ended('link.tar'), 'SOURCE_OUTSIDE_ROOTS');
  assert.equal(await ended('folder/outside.tar'), 'SOURCE_OUTSIDE_ROOTS');
  assert.equal(await ended('missing.tar'), 'ARCHIVE_MISSING');
  assert.equal(await ended('hostile.tar'), 'ARCHIVE_REFUSED');
  assert.equal(await ended('through.tar'), 'ARCHIVE_REFUSED');
  assert.deepEqual(storeEntries(), before);
  assert.deepEqual(await snapshotsOf(id), []);
});

test('the command line refuses with its own exit codes, and leaves nothing', async () => {
  const { name } = await workload();
  const before = storeEntries();
  const hostile = join(stack.allowedRoot, 'hostile.tar');
  writeFileSync(hostile, tar(entry({ name: 'a', type: '1', linkName: '../../x' }), entry({ name: 'a/\x1bb' })));
  const plain = join(stack.allowedRoot, 'plain.tar');
  writeFileSync(plain, tar(entry({ name: 'a' })));
  const refused = await stack.agent(['import', '--volume', `data=${hostile}`, '--workload', name]);
  assert.equal(refused.code, 3);
  assert.equal(refused.json.error.entry, 'a/\\x1bb');
  for (const args of [
    [plain, '--workload', 'nobody'],
    [plain, '--workload', name],
    ['--volume', `nothing=${plain}`, '--workload', name],
    ['--volume', `data=${plain}.missing`, '--workload', name],
    ['--volume', `data=${plain}`, '--volume', `data=${hostile}`, '--workload', name],
    ['--volume', `data=${plain}`, '--inside', 'data=nowhere', '--workload', name],
    ['--workload', name],
    [plain],
  ]) {
    const { json, code } = await stack.agent(['import', ...args]);
    assert.equal(code, 2, `${args.join(' ')}: ${JSON.stringify(json)}`);
    assert.ok(json.error.hint.length > 0);
  }
  assert.deepEqual(storeEntries(), before);
  assert.deepEqual(readdirSync(join(stack.stateDir, 'spool', 'imports')), []);
});

test('while the database is away the import is made all the same, and the agent registers it later', async () => {
  const { id, name } = await workload();
  // A journal is what this host knows the workload from.
  const capture = await stack.refloat(['capture', name, '--wait']);
  assert.equal(capture.code, 0, JSON.stringify(capture.json));
  await agent.stop();
  const plain = join(stack.allowedRoot, 'away.tar');
  writeFileSync(plain, tar(entry({ name: 'a', body: 'x' })));
  const away = { REFLOAT_AGENT_DATABASE_URL: 'postgres://nobody:x@127.0.0.1:9/none' };
  const { code, json } = await stack.agent(['import', '--volume', `data=${plain}`, '--workload', name], away);
  assert.equal(code, 0, JSON.stringify(json));
  assert.equal(json.registered, false);
  assert.ok(existsSync(join(json.path, 'manifest.json')));
  const { json: status } = await stack.agent(['status']);
  assert.deepEqual(status.imports, [json.snapshotId]);
  agent = await stack.startAgent(environment);
  const listed = await waitFor(
    () => snapshotsOf(id),
    (snapshots) => snapshots.some((snapshot: { id: string }) => snapshot.id === json.snapshotId),
  );
  assert.equal(listed.find((snapshot: { id: string }) => snapshot.id === json.snapshotId).kind, 'imported');
  rmSync(plain);
  await restored(name, json.snapshotId);
});

test('a host without an import directory takes no archives that the control plane names', async () => {
  await agent.stop();
  agent = await stack.startAgent();
  const { id } = await workload();
  const { body } = await stack.call('POST', `/api/workloads/${id}/imports`, {
    body: { archives: [{ file: 'a.tar' }] },
  });
  assert.equal((await stack.finished(body.id)).error.code, 'IMPORT_NOT_ALLOWED');
});
