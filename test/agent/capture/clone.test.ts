/** Freezes on real file systems, with and without reflinks: short whatever the volume holds, and still one moment of all of it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import type { WorkloadConfigInput } from '../../../db/workload.ts';
import { agentPlace, startAgent } from '../../helpers/agent.ts';
import { testEngine } from '../../helpers/engine.ts';
import { enrolledHost, type IntentRow, waitFor } from '../../helpers/host.ts';
import { type HostWorkload, hostWorkload } from '../../helpers/host-workload.ts';
import { mountLoop } from '../../helpers/loop-fs.ts';
import { testDatabase } from '../../helpers/postgres.ts';
import { compareTrees, snapshotTree } from '../../helpers/tree.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const docker = await testEngine();
const database = await testDatabase();
const host = await enrolledHost(database);
const disks = {
  ext4: mountLoop('ext4', GIB),
  xfs: mountLoop('xfs', GIB),
  btrfs: mountLoop('btrfs', GIB),
  small: mountLoop('ext4', 48 * MIB),
} as const;
after(() => Object.values(disks).forEach((disk) => void disk.unmount()));
const place = await agentPlace({
  DOCKER_HOST: docker.dockerHost,
  REFLOAT_AGENT_DATABASE_URL: host.url,
  REFLOAT_ALLOWED_ROOTS: Object.values(disks)
    .map((disk) => join(disk.path, '..'))
    .join(':'),
});
await startAgent(place.env);
afterEach(() => docker.removeAll());

async function workloadAt(source: string, more: Partial<WorkloadConfigInput> = {}): Promise<HostWorkload> {
  const volumes = [{ name: 'data', scope: 'absolute' as const, source, target: '/volumes/data' }];
  return await hostWorkload(docker, host, place, { volumes, capture: { freeze: 'pause' }, ...more });
}

async function captureOf(workloadId: string): Promise<IntentRow> {
  return await host.ended(await host.addIntent('capture', workloadId));
}

/** The tree that a snapshot holds, as somebody without Refloat gets it. */
function extracted(row: IntentRow, place_: string): string {
  const out = join(place_, `out-${row.id}`);
  mkdirSync(out);
  const archive = join(row.result?.snapshotPath ?? '', 'data.tar.zst');
  execFileSync('bash', [
    '--norc',
    '-o',
    'pipefail',
    '-ec',
    'zstd -dc "$1" | tar -x --xattrs --xattrs-include="*" --acls -p -C "$2"',
    'bash',
    archive,
    out,
  ]);
  return out;
}

const privateNames = (directory: string): string[] =>
  readdirSync(directory).filter((name) => name.startsWith('.refloat-'));

/** Writes a number to the first file and then to the last one, in place, as fast as it can. */
const WRITER = [
  'sh',
  '-c',
  'i=10000000; while :; do i=$((i+1)); printf %s "$i" 1<>/volumes/data/a; printf %s "$i" 1<>/volumes/data/z; done',
];

for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
  describe(`on ${type}`, () => {
    const { path } = disks[type];

    test('two files that a container writes in turn are captured at one moment, and archived after it', async () => {
      const source = join(path, 'turns');
      mkdirSync(join(source, 'm'), { recursive: true });
      for (let file = 0; file < 2000; file += 1) writeFileSync(join(source, 'm', `file-${file}`), 'x'.repeat(file));
      const made = await workloadAt(source, { command: WRITER });
      const z = join(source, 'z');
      await waitFor(
        () =>
          privateNames(path).length === 0 && readdirSync(source).includes('z') && readFileSync(z, 'utf8') > '10000100',
        Boolean,
      );
      const row = await captureOf(made.id);
      assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
      const out = extracted(row, path);
      const [a, last] = ['a', 'z'].map((name) => Number(readFileSync(join(out, name), 'utf8')));
      assert.ok(a !== undefined && (a === last || a - 1 === last), `${a} was written first, ${last} after it`);
      assert.equal(row.result?.['takenBy'], type === 'ext4' ? 'copy' : 'reflink');
      const events = (await host.events(row.id)).map(({ data }) => `${data['step']} ${data['status']}`);
      const order = ['copy done', 'freeze started', 'clone done', 'resume done', 'archive started', 'archive done'];
      assert.deepEqual(
        events.filter((event) => order.includes(event)),
        order,
        'the freeze ends before the archiving begins',
      );
      assert.deepEqual(privateNames(path), [], 'the copy is gone');
      assert.equal((await docker.engine.inspect(made.containers[0] ?? ''))?.state, 'running');
    });

    test('a copy carries links, holes, owners, attributes and ACLs into the snapshot', async () => {
      const source = join(path, 'rich');
      mkdirSync(source);
      execFileSync('bash', [
        '--norc',
        '-ec',
        `cd "$1"; mkdir -p d/e; echo a > d/a; ln d/a d/b; ln -s /nowhere l; echo s > s; truncate -s 64M s; chown 5:6 d/e
         setfattr -n user.x -v y d/a; setfacl -m u:9:rw d/a; setfacl -d -m u:9:rwx d; chmod 4755 s; mkfifo pipe; touch -d @7.000000009 .`,
        'bash',
        source,
      ]);
      const made = await workloadAt(source);
      const before = snapshotTree(source);
      const row = await captureOf(made.id);
      assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
      assert.deepEqual(
        row.result?.skipped?.map(({ path: name, reason }) => `${reason} ${name}`),
        ['fifo pipe'],
      );
      const expected = new Map([...before].filter(([name]) => name !== 'pipe'));
      assert.deepEqual(compareTrees(expected, snapshotTree(extracted(row, path))), []);
      assert.deepEqual(compareTrees(before, snapshotTree(source)), [], 'the volume is as it was');
    });
  });
}

test('a volume that is a mount point is copied inside it, and looks as it did before', async () => {
  const made = await workloadAt(disks.xfs.path);
  const before = snapshotTree(disks.xfs.path);
  const row = await captureOf(made.id);
  assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
  assert.equal(row.result?.['takenBy'], 'reflink');
  assert.deepEqual(compareTrees(before, snapshotTree(disks.xfs.path)), []);
});

test('a volume in another one is copied beside both, so that neither copy ends up in the other', async () => {
  const source = join(disks.ext4.path, 'outer');
  mkdirSync(join(source, 'below', 'inner'), { recursive: true });
  writeFileSync(join(source, 'below', 'inner', 'kept'), 'x');
  const made = await workloadAt(source, {
    volumes: [
      { name: 'data', scope: 'absolute', source, target: '/volumes/data' },
      { name: 'inner', scope: 'absolute', source: join(source, 'below', 'inner'), target: '/volumes/inner' },
    ],
  });
  const row = await captureOf(made.id);
  assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
  assert.equal(row.result?.['takenBy'], 'copy');
  assert.deepEqual(compareTrees(snapshotTree(source), snapshotTree(extracted(row, disks.ext4.path))), []);
});

test('without room for a copy the archives are written inside the freeze, and the result says so', async () => {
  const source = join(disks.small.path, 'data');
  mkdirSync(source);
  writeFileSync(join(source, 'most'), Buffer.alloc(24 * MIB, 'x'));
  const row = await captureOf((await workloadAt(source)).id);
  assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
  assert.equal(row.result?.['takenBy'], 'archive');
  assert.match(row.result?.warnings?.join() ?? '', /could not be copied.*bytes free/);
  assert.equal(row.result?.bytes, 24 * MIB + 8);
  assert.deepEqual(privateNames(disks.small.path), []);
});

test('a copy that meets a full disk is given up, and the capture goes on without it', async () => {
  const source = join(disks.small.path, 'hollow');
  mkdirSync(source);
  // Nothing is allocated when the space is counted; the hook fills it in between.
  truncateSync(join(source, '..', 'data', 'most'), 0);
  const fill = ['sh', '-c', 'head -c 26000000 /dev/urandom > /volumes/data/filled'];
  const row = await captureOf((await workloadAt(source, { hooks: { beforeCapture: fill } })).id);
  assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
  assert.equal(row.result?.['takenBy'], 'archive');
  assert.match(row.result?.warnings?.join() ?? '', /could not be copied.*full/);
  assert.equal(row.result?.bytes, 26_000_008);
  assert.deepEqual(privateNames(disks.small.path), []);
});

test('with freeze "live", and without containers that run, nothing is copied', async () => {
  const source = join(disks.ext4.path, 'live');
  mkdirSync(source);
  const live = await captureOf((await workloadAt(source, { capture: { freeze: 'live' } })).id);
  const idle = await captureOf((await workloadAt(source, { replicas: 0 })).id);
  for (const row of [live, idle]) {
    assert.equal(row.state, 'succeeded', JSON.stringify(row.error));
    assert.deepEqual([row.result?.['takenBy'], row.result?.downtimeMs], ['archive', 0]);
  }
});
