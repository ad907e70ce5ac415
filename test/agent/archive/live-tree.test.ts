/** Trees that do not hold still, things that cannot be archived, and operations that are cut short. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { packTree } from '../../../agent/archive/pack.ts';
import { RefloatError } from '../../../db/errors.ts';
import { mountLoop } from '../../helpers/loop-fs.ts';
import { createArchiver } from '../../helpers/shipped-archiver.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const archiver = createArchiver();
const base = mkdtempSync(join(tmpdir(), 'refloat-live-'));
after(() => rmSync(base, { recursive: true, force: true }));
const MIB = 1024 * 1024;

function folder(name: string): string {
  mkdirSync(join(base, name, 'source'), { recursive: true });
  return join(base, name);
}

test('sockets, FIFOs, devices and mounted file systems are left out and named', async (t) => {
  const at = folder('special');
  const source = join(at, 'source');
  const server = createServer().listen(join(source, 'socket'));
  await once(server, 'listening');
  t.after(() => server.close());
  execFileSync('mkfifo', [join(source, 'fifo\n')]);
  execFileSync('mknod', [join(source, 'device'), 'c', '1', '3']);
  mkdirSync(join(source, 'mounted'));
  execFileSync('mount', ['-t', 'tmpfs', 'none', join(source, 'mounted')]);
  t.after(() => execFileSync('umount', [join(source, 'mounted')]));
  writeFileSync(join(source, 'mounted', 'hidden'), 'x');
  writeFileSync(join(source, 'kept'), 'x');
  const { skipped, ...packed } = await archiver.pack({ root: source, archive: join(at, 'a') });
  const named = skipped.map(({ path, reason }) => `${reason} ${path}`).sort();
  assert.deepEqual(named, ['device device', 'fifo fifo\\x0a', 'mount-point mounted', 'socket socket']);
  assert.equal(packed.files, 1);
  const { sha256, archiveBytes, ...counts } = packed;
  await archiver.extract({
    archive: join(at, 'a'),
    destination: join(at, 'out'),
    policy: 'faithful',
    expected: { sha256, archiveBytes, counts },
  });
  assert.deepEqual(readdirSync(join(at, 'out')).sort(), ['kept', 'mounted']);
});

test('a symlink that has other names is one inode again, and for other readers one symlink per name', async () => {
  const at = folder('symlinks');
  symlinkSync('target', join(at, 'source', 'a'));
  for (const name of ['b', 'c']) linkSync(join(at, 'source', 'a'), join(at, 'source', name));
  const original = snapshotTree(join(at, 'source'));
  const archive = join(at, 'a.tar.zst');
  const { skipped } = await archiver.pack({ root: join(at, 'source'), archive });
  assert.deepEqual(skipped, []);
  await archiver.extract({ archive, destination: join(at, 'out'), policy: 'faithful' });
  assert.deepEqual(compareTrees(original, snapshotTree(join(at, 'out'))), []);
  mkdirSync(join(at, 'gnu'));
  execFileSync('sh', ['-c', 'zstd -dcq "$1" | tar -x -p -C "$2"', 'sh', archive, join(at, 'gnu')], { stdio: 'ignore' });
  const differences = compareTrees(original, snapshotTree(join(at, 'gnu')));
  assert.deepEqual(differences, ['b: link a became b', 'c: link a became c']);
});

test('files that grow, shrink, vanish and turn into something else while they are read never break the archive', async () => {
  const at = folder('changing');
  const source = join(at, 'source');
  for (const name of ['grows', 'shrinks', 'vanishes', 'replaced', 'still'])
    writeFileSync(join(source, name), Buffer.alloc(40 * MIB, name));
  for (let index = 0; index < 300; index += 1) writeFileSync(join(source, `small-${index}`), 'x'.repeat(5000));
  writeFileSync(join(at, 'a'), '');
  let round = 0;
  // Called from inside the packing, between two reads: the change happens exactly then.
  const change = (): void => {
    round += 1;
    appendFileSync(join(source, 'grows'), 'more');
    if (round !== 1) return;
    truncateSync(join(source, 'shrinks'), 5 * MIB);
    unlinkSync(join(source, 'vanishes'));
    unlinkSync(join(source, 'replaced'));
    symlinkSync('/etc/passwd', join(source, 'replaced'));
    writeFileSync(join(source, 'small-7'), 'y');
    unlinkSync(join(source, 'small-8'));
    renameSync(join(source, 'small-9'), join(source, 'small-renamed'));
  };
  const { skipped, sha256, archiveBytes, ...counts } = await packTree(source, join(at, 'a'), change);
  const reasons = new Map(skipped.map(({ path, reason }) => [path, reason]));
  assert.equal(reasons.get('grows'), 'changed');
  assert.equal(reasons.get('vanishes'), 'vanished');
  assert.equal(reasons.get('small-8'), 'vanished');
  assert.equal(reasons.get('still'), undefined);
  const summary = await archiver.extract({
    archive: join(at, 'a'),
    destination: join(at, 'out'),
    policy: 'faithful',
    expected: { sha256, archiveBytes, counts },
  });
  assert.equal(summary.files, counts.files);
  assert.ok(readFileSync(join(at, 'out', 'still')).equals(Buffer.alloc(40 * MIB, 'still')));
  assert.ok(!existsSync(join(at, 'out', 'vanishes')));
});

test('a file that shrinks while it is read keeps its place, and is named', async () => {
  const at = folder('shrinking');
  const source = join(at, 'source');
  writeFileSync(join(source, 'a-shrinks'), Buffer.alloc(60 * MIB, 1));
  writeFileSync(join(source, 'b'), 'after');
  writeFileSync(join(at, 'a'), '');
  let once = false;
  const { skipped } = await packTree(source, join(at, 'a'), () => {
    if (!once) truncateSync(join(source, 'a-shrinks'), 1 * MIB);
    once = true;
  });
  assert.deepEqual(
    skipped.map(({ path, reason }) => [path, reason]),
    [['a-shrinks', 'changed']],
  );
  await archiver.extract({ archive: join(at, 'a'), destination: join(at, 'out'), policy: 'faithful' });
  assert.equal(readFileSync(join(at, 'out', 'b'), 'utf8'), 'after');
});

test('zeros that are really there come back without a higher limit', async () => {
  const at = folder('zeros');
  writeFileSync(join(at, 'source', 'zeros'), Buffer.alloc(300 * MIB));
  const before = snapshotTree(join(at, 'source'));
  await archiver.pack({ root: join(at, 'source'), archive: join(at, 'a') });
  await archiver.extract({ archive: join(at, 'a'), destination: join(at, 'out'), policy: 'faithful' });
  assert.deepEqual(compareTrees(before, snapshotTree(join(at, 'out'))), []);
  assert.equal(
    execFileSync(
      'bash',
      ['--norc', '-c', 'zstd -dcq "$1" | tar -xO -f - zeros | tr -d "\\0" | wc -c', 'bash', join(at, 'a')],
      {
        encoding: 'utf8',
      },
    ).trim(),
    '0',
  );
});

async function bigArchive(name: string): Promise<string> {
  const at = folder(name);
  for (let index = 0; index < 2000; index += 1)
    writeFileSync(join(at, 'source', `f${index}`), Buffer.alloc(8000, index));
  writeFileSync(join(at, 'source', 'large'), Buffer.alloc(200 * MIB, 'abc'));
  await archiver.pack({ root: join(at, 'source'), archive: join(at, 'a') });
  return at;
}

test('an aborted extraction leaves no destination', async () => {
  const at = await bigArchive('aborted');
  const controller = new AbortController();
  const extracting = archiver.extract({
    archive: join(at, 'a'),
    destination: join(at, 'out'),
    policy: 'faithful',
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  await assert.rejects(extracting, (error: RefloatError) => error.code === 'INTERRUPTED');
  assert.ok(!existsSync(join(at, 'out')));
});

test('an aborted capture leaves no archive', async () => {
  const at = await bigArchive('aborted-pack');
  const controller = new AbortController();
  const packing = archiver.pack({
    root: join(at, 'source'),
    archive: join(at, 'b'),
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  await assert.rejects(packing, (error: RefloatError) => error.code === 'INTERRUPTED');
  assert.ok(!existsSync(join(at, 'b')));
});

test('when the agent is killed its archive child ends too, and empties what it was building', async () => {
  const at = await bigArchive('killed');
  const program = `import { createArchiver } from ${JSON.stringify(join(import.meta.dirname, '../../../agent/archive/archiver.ts'))};
    await createArchiver().extract({ archive: ${JSON.stringify(join(at, 'a'))}, destination: ${JSON.stringify(join(at, 'out'))}, policy: 'faithful', onProgress: () => process.kill(process.pid, 'SIGKILL') });`;
  const agent = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // The child inherits nothing of the agent but holds this pipe's other end open until it ends.
  await once(agent, 'exit');
  assert.equal(agent.signalCode, 'SIGKILL');
  for (
    let waited = 0;
    waited < 200 && existsSync(join(at, 'out')) && readdirSync(join(at, 'out')).length > 0;
    waited += 1
  )
    await new Promise((done) => setTimeout(done, 50));
  assert.deepEqual(existsSync(join(at, 'out')) ? readdirSync(join(at, 'out')) : [], []);
});

test('a full disk is said so, and leaves nothing', async (t) => {
  const at = await bigArchive('full');
  const fs = mountLoop('ext4', 64 * MIB);
  t.after(fs.unmount);
  const before = readdirSync(fs.path);
  await assert.rejects(
    archiver.extract({ archive: join(at, 'a'), destination: join(fs.path, 'out'), policy: 'faithful' }),
    (error: RefloatError) => {
      assert.ok(error instanceof RefloatError);
      return error.code === 'ARCHIVE_LIMIT' || error.code === 'DISK_FULL';
    },
  );
  assert.deepEqual(readdirSync(fs.path), before);
  await assert.rejects(
    archiver.pack({ root: '/usr/share', archive: join(fs.path, 'p') }),
    (error: RefloatError) => error.code === 'DISK_FULL',
  );
  assert.deepEqual(readdirSync(fs.path), before);
});

test('an archive never overwrites: not an existing archive, not an existing destination', async () => {
  const at = await bigArchive('existing');
  const bytes = readFileSync(join(at, 'a'));
  await assert.rejects(
    archiver.pack({ root: join(at, 'source'), archive: join(at, 'a') }),
    (error: RefloatError) => error.code === 'DESTINATION_EXISTS',
  );
  assert.ok(readFileSync(join(at, 'a')).equals(bytes));
  mkdirSync(join(at, 'out'));
  await assert.rejects(
    archiver.extract({ archive: join(at, 'a'), destination: join(at, 'out'), policy: 'faithful' }),
    (error: RefloatError) => error.code === 'DESTINATION_EXISTS',
  );
  assert.ok(existsSync(join(at, 'out')));
});
