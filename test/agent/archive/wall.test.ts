/** Each wall on its own: naive extraction behind the second one, and the first one without the second. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { RefloatError } from '../../../db/errors.ts';
import { corpusFolder, readCorpus } from '../../helpers/corpus.ts';
import { createArchiver } from '../../helpers/shipped-archiver.ts';
import { entry, tar } from '../../helpers/tar-builder.ts';

const base = mkdtempSync(join(tmpdir(), 'refloat-wall-'));
after(() => rmSync(base, { recursive: true, force: true }));
const staging = join(base, 'staging');
mkdirSync(staging);
writeFileSync(join(base, 'live'), 'precious');
const WALLED = join(import.meta.dirname, '../../helpers/walled.ts');

function behindTheWall(script: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return behindTheWallOf(staging, script, ...args);
}

function behindTheWallOf(
  writable: string,
  script: string,
  ...args: string[]
): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [WALLED, writable, 'sh', '-c', script, 'sh', ...args],
    {
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  return { status, stdout, stderr };
}

test('the wall stands completely on this machine, and staging is writable', () => {
  const { status, stderr } = behindTheWall('echo ok > "$1/inside"', staging);
  assert.equal(stderr, '');
  assert.equal(status, 0);
  assert.equal(readFileSync(join(staging, 'inside'), 'utf8'), 'ok\n');
});

for (const [what, script] of Object.entries({
  'write beside staging': 'echo x > "$1/../new"',
  'overwrite the live volume': 'echo x > "$1/../live"',
  'remove the live volume': 'rm "$1/../live"',
  'link to the live volume': 'ln "$1/../live" "$1/link"',
  'change the live volume': 'chmod 777 "$1/../live"',
  'write into /etc': 'echo x > /etc/refloat-wall-test',
  'write into /tmp': 'echo x > /tmp/refloat-wall-test',
  'write into /dev/shm': 'echo x > /dev/shm/refloat-wall-test',
  'write a kernel setting': 'echo 1 > /proc/sys/vm/drop_caches',
  'make a device': 'mknod "$1/device" c 1 5',
  'mount over it': 'mount -t tmpfs none "$1"',
  'make the host writable again': 'mount -o remount,rw,bind /',
  'leave through another root': 'chroot / true',
  'run what it extracted': 'cp /bin/true "$1/program" && "$1/program"',
})) {
  test(`behind the wall one cannot ${what}`, () => {
    const { status, stderr } = behindTheWall(script, staging);
    assert.notEqual(status, 0);
    assert.match(
      stderr,
      /Read-only file system|Operation not permitted|[Pp]ermission denied|Invalid cross-device link|must be superuser/,
    );
    assert.equal(readFileSync(join(base, 'live'), 'utf8'), 'precious');
    for (const path of [
      '/etc/refloat-wall-test',
      '/tmp/refloat-wall-test',
      '/dev/shm/refloat-wall-test',
      join(base, 'new'),
    ])
      assert.ok(!existsSync(path));
  });
}

test('behind the wall there is no network, not even to this machine', async (t) => {
  const server = createServer((socket) => socket.end());
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const { status } = spawnSync(
    process.execPath,
    [WALLED, staging, 'bash', '--norc', '-c', `exec 3<>/dev/tcp/127.0.0.1/${address.port}`],
    { encoding: 'utf8' },
  );
  assert.notEqual(status, 0);
  assert.equal(
    spawnSync('bash', ['--norc', '-c', `exec 3<>/dev/tcp/127.0.0.1/${address.port}`]).status,
    0,
    'without the wall it works',
  );
});

const ATTACKS: Readonly<Record<string, Buffer>> = {
  absolute: tar(entry({ name: join(base, 'absolute-name'), body: 'x' })),
  'dot-dot': tar(entry({ name: '../../dot-dot', body: 'x' })),
  'through a symlink': tar(entry({ name: 'd', type: '2', linkName: base }), entry({ name: 'd/through', body: 'x' })),
  'over a hard link': tar(
    entry({ name: 'h', type: '1', linkName: join(base, 'live') }),
    entry({ name: 'h', body: 'gone' }),
  ),
};

test('with the first wall off (a naive tar, absolute names and links followed) nothing escapes', () => {
  const folder = join(base, 'attacks');
  mkdirSync(folder);
  for (const [name, bytes] of Object.entries(ATTACKS)) {
    writeFileSync(join(folder, 'a.tar'), bytes);
    const inside = join(staging, name.replaceAll(' ', '-'));
    behindTheWall('mkdir "$1"; tar -x -P --keep-directory-symlink -f "$2" -C "$1" 2>&1', inside, join(folder, 'a.tar'));
  }
  assert.equal(readFileSync(join(base, 'live'), 'utf8'), 'precious');
  for (const name of ['absolute-name', 'dot-dot', 'through']) assert.ok(!existsSync(join(base, name)), name);
});

const folder = corpusFolder();
test('with the first wall off no archive of the corpus escapes', {
  skip: folder === null && 'there is no tarcorpus beside the repository',
}, () => {
  if (folder === null) return;
  const inside = join(base, 'corpus');
  mkdirSync(inside);
  const paths = readCorpus(folder).map(({ path }) => join(folder, path));
  // What each entry would touch outside, as seen before.
  const outside = new Map<string, string>();
  for (const path of paths) {
    const { stdout } = spawnSync('tar', ['-tPf', path, '--quoting-style=literal'], { encoding: 'latin1' });
    for (const name of stdout.split('\n')) {
      const target = resolve(inside, name.replaceAll('\0', ''));
      if (name !== '' && !target.startsWith(`${inside}/`) && target.length < 4096) outside.set(target, stateOf(target));
    }
  }
  assert.ok(outside.size > 0, 'the corpus has names that lead outside');
  behindTheWallOf(
    inside,
    'for f in "$@"; do tar -x -P --keep-directory-symlink -f "$f" -C "$0" 2>&1; done'.replaceAll('$0', inside),
    ...paths,
  );
  for (const [path, before] of outside) assert.equal(stateOf(path), before, path);
});

/** Directories on the way (`/tmp`) change for other reasons; what an entry would create or overwrite must not. */
function stateOf(path: string): string {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 'absent';
  return stat.isDirectory() ? `directory ${stat.mode} ${stat.uid}` : `${stat.ino} ${stat.ctimeMs} ${stat.size}`;
}

test('with the second wall off the first one holds alone, and the result says that it was alone', async () => {
  const archiver = createArchiver({ wall: false });
  for (const [name, bytes] of Object.entries(ATTACKS)) {
    writeFileSync(join(base, 'a.tar'), bytes);
    await assert.rejects(
      archiver.extract({ archive: join(base, 'a.tar'), destination: join(base, 'out'), policy: 'faithful' }),
      (error: RefloatError) => {
        assert.ok(error instanceof RefloatError, name);
        return error.code === 'ARCHIVE_REFUSED';
      },
    );
    assert.ok(!existsSync(join(base, 'out')));
  }
  writeFileSync(join(base, 'a.tar'), tar(entry({ name: 'a', body: 'a' })));
  const { warnings } = await archiver.extract({
    archive: join(base, 'a.tar'),
    destination: join(base, 'out'),
    policy: 'faithful',
  });
  assert.equal(warnings?.length, 1);
  const walled = await createArchiver().extract({
    archive: join(base, 'a.tar'),
    destination: join(base, 'out2'),
    policy: 'faithful',
  });
  assert.equal(walled.warnings, undefined);
});
