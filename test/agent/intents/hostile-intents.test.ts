/**
 * Somebody owns the database and writes what they like into it. The host does nothing outside of what its own configuration
 * allows: every one of these intents ends refused with a code, nothing is touched, and the agent lives.
 */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseClaim } from '../../../agent/intents/parse-claim.ts';
import { createSnapshot } from '../../../agent/snapshots/create-snapshot.ts';
import { snapshotStore } from '../../../agent/snapshots/store.ts';
import { newId } from '../../../db/ids.ts';
import type { ClaimedRow } from '../../../db/queries/claim-intent.ts';
import { agentPlace, type RunningAgent, startAgent } from '../../helpers/agent.ts';
import { testEngine } from '../../helpers/engine.ts';
import { enrolledHost } from '../../helpers/host.ts';
import { testDatabase } from '../../helpers/postgres.ts';
import { createArchiver } from '../../helpers/shipped-archiver.ts';

const docker = await testEngine();
const database = await testDatabase();
const { sql } = database;
const host = await enrolledHost(database);
const stranger = await enrolledHost(database);
const root = mkdtempSync(join(tmpdir(), 'rfhi-'));
after(() => rmSync(root, { recursive: true, force: true }));
const [allowed, outside] = [join(root, 'allowed'), join(root, 'outside')];
const bare = await agentPlace();
const place = {
  ...bare,
  env: {
    ...bare.env,
    DOCKER_HOST: docker.dockerHost,
    REFLOAT_AGENT_DATABASE_URL: host.url,
    // The state of the agent lies within an allowed root, as a careless operator may have it.
    REFLOAT_ALLOWED_ROOTS: `${allowed}:${join(bare.stateDir, '..')}`,
    REFLOAT_ALLOWED_INTENTS: 'deploy capture plan restore undo verify delete',
    REFLOAT_ALLOWED_VOLUMES: 'shop-*',
    REFLOAT_MAX_RESTORE_BYTES: '1000',
  },
};
const store = snapshotStore(place.stateDir);

type Json = Record<string, unknown>;
interface Hostile {
  readonly kind?: string;
  /** Merged into a valid configuration; a string: the JSON text of all of it. */
  readonly config?: Json | string;
  readonly params?: unknown;
  /** Columns of the intent. */
  readonly columns?: Json;
  /** Whose snapshot it names. */
  readonly snapshot?: 'foreign' | 'large' | 'changed';
  readonly code: string;
}

const volume = (scope: string, source: unknown, more: Json = {}): Json => ({
  volumes: [{ name: 'data', scope, source, target: '/data', ...more }],
});
const INVALID = 'VALIDATION_FAILED';
const OUTSIDE = 'SOURCE_OUTSIDE_ROOTS';

const HOSTILE: Record<string, Hostile> = {
  'a system directory': { config: volume('absolute', '/etc'), code: OUTSIDE },
  'the root': { config: volume('absolute', '/'), code: INVALID },
  'the root by dots': { config: volume('absolute', `${allowed}/../outside`), code: INVALID },
  'a directory that begins like an allowed one': { config: volume('absolute', `${allowed}-not`), code: OUTSIDE },
  'an allowed root itself': { config: volume('absolute', allowed), code: OUTSIDE },
  'through another process': { config: volume('absolute', '/proc/self/root/etc'), code: OUTSIDE },
  'a link out of an allowed root': { config: volume('absolute', join(allowed, 'link')), code: OUTSIDE },
  'below a link out of an allowed root': { config: volume('absolute', join(allowed, 'link', 'new')), code: OUTSIDE },
  'a file instead of a directory': { config: volume('absolute', join(allowed, 'file')), code: 'SOURCE_NOT_DIRECTORY' },
  'the state of the agent': { config: volume('absolute', place.stateDir), code: OUTSIDE },
  'the snapshots of the agent': { config: volume('absolute', join(place.stateDir, 'snapshots')), code: OUTSIDE },
  'the journals, to be captured': {
    kind: 'capture',
    config: volume('absolute', join(place.stateDir, 'journal')),
    code: OUTSIDE,
  },
  'dots in a project': { config: volume('project', '../outside'), code: INVALID },
  'dots alone in a stage': { config: volume('stage', '..'), code: INVALID },
  'a link out of the project': { config: volume('project', 'link'), code: 'SOURCE_ESCAPES_BASE' },
  'a link that leads nowhere': { config: volume('project', 'dangling'), code: 'SOURCE_ESCAPES_BASE' },
  'the held trees of a restore': { config: volume('project', `.refloat-${newId()}/data`), code: INVALID },
  'a source that is a number': { config: volume('project', 7), code: INVALID },
  'a source of 5000 characters': { config: volume('project', 'a/'.repeat(2500)), code: INVALID },
  'a scope that there is not': { config: volume('root', 'x'), code: INVALID },
  'an option of a mount': { config: volume('project', 'x', { propagation: 'rshared' }), code: INVALID },
  'a target with dots': { config: volume('project', 'x', { target: '/data/../../proc' }), code: INVALID },
  'a volume named like a path': { config: volume('project', 'x', { name: '../../x' }), code: INVALID },
  'a volume with a control character': { config: volume('project', 'x', { name: 'a\u0001b' }), code: INVALID },
  "somebody else's Docker volume": { config: volume('named', 'bank-data'), code: OUTSIDE },
  "somebody else's Docker volume, to be captured": {
    kind: 'capture',
    config: volume('named', 'bank-data'),
    code: OUTSIDE,
  },
  'a Docker volume as a path': { config: volume('named', '../../etc'), code: INVALID },
  'a Docker volume with an option': { config: volume('named', 'shop-x:z,o=bind'), code: INVALID },
  'a project as a path': { config: { project: '../..' }, code: INVALID },
  'a stage as a path': { config: { stage: '..' }, code: INVALID },
  'a workload named like a path': { config: { name: 'a/b' }, code: INVALID },
  'a workload with a line break': { config: { name: 'a\nb' }, code: INVALID },
  'a workload with an escape sequence': { config: { name: 'a\u001b[2J' }, code: INVALID },
  'a workload of 5000 characters': { config: { name: 'a'.repeat(5000) }, code: INVALID },
  'an image that is an option': { config: { image: '--privileged' }, code: INVALID },
  'an image that leads elsewhere': { config: { image: '../../containers/x' }, code: INVALID },
  'an image with a blank': { config: { image: 'a --pid=host' }, code: INVALID },
  'an image with a line break': { config: { image: 'a\r\nX-Header: 1' }, code: INVALID },
  'an image that is an address': { config: { image: 'http://evil/x' }, code: INVALID },
  'a reference that is an option': { params: { reference: '-v=/:/host' }, code: INVALID },
  'a reference that leads elsewhere': { params: { reference: 'a/../../x' }, code: INVALID },
  'privileges by parameter': { params: { privileged: true }, code: INVALID },
  'parameters as a list': { params: [1], code: INVALID },
  'parameters as text': { params: 'x', code: INVALID },
  'parameters that are null': { params: null, code: INVALID },
  'parameters of 2 MiB': { params: { reference: 'a'.repeat(2 ** 21) }, code: INVALID },
  privileges: { config: { privileged: true }, code: INVALID },
  labels: { config: { labels: { 'refloat.workload': newId() } }, code: INVALID },
  binds: { config: { binds: ['/:/host'] }, code: INVALID },
  capabilities: { config: { capAdd: ['SYS_ADMIN'] }, code: INVALID },
  'the network of another container': { config: { network: 'container:bank' }, code: INVALID },
  'an environment with a name that is none': { config: { env: { 'A=B': 'x' } }, code: INVALID },
  'an environment as a list': { config: { env: ['A=B'] }, code: INVALID },
  'a hook as a command line': { kind: 'capture', config: { hooks: { beforeCapture: 'rm -rf /' } }, code: INVALID },
  'a hook on the host': { kind: 'capture', config: { hooks: { host: ['id'] } }, code: INVALID },
  'a port that there is not': { config: { ports: [{ container: 70_000 }] }, code: INVALID },
  'a negative port': { config: { ports: [{ container: -1 }] }, code: INVALID },
  'a billion replicas': { config: { replicas: 1e9 }, code: INVALID },
  'negative replicas': { config: { replicas: -1 }, code: INVALID },
  'a negative time': { config: { stopTimeoutSeconds: -5 }, code: INVALID },
  "another host's workload": { config: { hostId: stranger.id }, code: INVALID },
  'a configuration that is null': { config: 'null', code: INVALID },
  'a configuration that is a list': { config: '[]', code: INVALID },
  'a configuration that is text': { config: '"x"', code: INVALID },
  'a configuration of 2 MiB': { config: { env: { A: 'x'.repeat(2 ** 21) } }, code: INVALID },
  'a configuration of ten thousand levels': { config: `{"env":${'['.repeat(5000)}${']'.repeat(5000)}}`, code: INVALID },
  'a kind that there is not': { kind: 'exec', code: INVALID },
  'a kind that this host does not do': {
    kind: 'import',
    params: { archives: [{ file: 'x' }] },
    code: 'KIND_NOT_ALLOWED',
  },
  'a negative epoch': { columns: { lease_epoch: -9 }, code: INVALID },
  'a requester of 1 MiB': { columns: { requested_by: 'x'.repeat(2 ** 20) }, code: INVALID },
  "another workload's snapshot": { kind: 'restore', snapshot: 'foreign', code: 'SNAPSHOT_NOT_FOUND' },
  "another workload's snapshot, to be deleted": { kind: 'delete', snapshot: 'foreign', code: 'SNAPSHOT_NOT_FOUND' },
  "another workload's snapshot, to be verified": { kind: 'verify', snapshot: 'foreign', code: 'SNAPSHOT_NOT_FOUND' },
  'a snapshot of another digest': { kind: 'verify', snapshot: 'changed', code: 'MANIFEST_CHANGED' },
  'a snapshot that is larger than allowed': { kind: 'restore', snapshot: 'large', code: 'LIMIT_EXCEEDED' },
};

let agent: RunningAgent;
let foreignId = '';
before(async () => {
  mkdirSync(join(allowed), { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, 'precious'), 'data');
  writeFileSync(join(allowed, 'file'), '');
  symlinkSync(outside, join(allowed, 'link'));
  mkdirSync(join(place.volumeBase, 'p', 'data'), { recursive: true });
  symlinkSync(outside, join(place.volumeBase, 'p', 'link'));
  symlinkSync(join(root, 'nowhere'), join(place.volumeBase, 'p', 'dangling'));
  // The owner of the database is bound by nothing in it.
  await sql.unsafe(
    'alter table intents drop constraint intents_kind_check; alter table intents disable trigger check_intent',
  );
  foreignId = (await makeSnapshot(newId())).id;
  agent = await startAgent(place.env);
});

async function makeSnapshot(workloadId: string): Promise<{ id: string; sha256: string }> {
  const live = join(root, `live-${newId()}`);
  mkdirSync(live);
  writeFileSync(join(live, 'file'), 'x'.repeat(4000));
  const made = await createSnapshot({
    store,
    archiver: createArchiver(),
    id: newId(),
    kind: 'capture',
    workload: { id: workloadId, name: 'w' },
    image: docker.image,
    imageId: 'sha256:1',
    volumes: [{ name: 'data', scope: 'project', source: 'data', target: '/data', path: live }],
    intentId: newId(),
    capturedAt: new Date(),
    protectedUntil: null,
  });
  return { id: made.id, sha256: made.manifestSha256 };
}

async function addRow(workloadId: string, which: Hostile['snapshot']): Promise<string | null> {
  if (which === undefined) return null;
  const { id, sha256 } = await makeSnapshot(which === 'foreign' ? newId() : workloadId);
  const digest = which === 'changed' ? 'f'.repeat(64) : sha256;
  await sql`insert into snapshots (id, workload_id, host_id, intent_id, kind, manifest_sha256, image, image_id, captured_at)
    values (${id}, ${workloadId}, ${host.id}, ${newId()}, 'capture', ${digest}, 'i', 'i', now())`;
  return id;
}

async function write({ kind = 'deploy', config = {}, params = {}, columns = {}, snapshot }: Hostile): Promise<string> {
  const [id, workloadId] = [newId(), docker.newWorkloadId()];
  const name = `w-${workloadId.slice(-12)}`;
  const valid = {
    name,
    project: 'p',
    hostId: host.id,
    image: docker.image,
    network: 'none',
    ...volume('project', 'data'),
  };
  const text = typeof config === 'string' ? config : JSON.stringify({ ...valid, ...config });
  await sql`insert into workloads (id, host_id, name, project, config) values (${workloadId}, ${host.id}, ${name}, 'p', ${text}::text::jsonb)`;
  const snapshotId = await addRow(workloadId, snapshot);
  const { lease_epoch: epoch = 0, requested_by: by = 'owner' } = columns as {
    lease_epoch?: number;
    requested_by?: string;
  };
  await sql`insert into intents (id, kind, workload_id, host_id, snapshot_id, params, requested_by, lease_epoch)
    values (${id}, ${kind}, ${workloadId}, ${host.id}, ${snapshotId}, ${JSON.stringify(params)}::text::jsonb, ${by}, ${epoch})`;
  return id;
}

test('there are at least fifty', () => assert.ok(Object.keys(HOSTILE).length >= 50));

describe('each is refused', () => {
  for (const [what, hostile] of Object.entries(HOSTILE)) {
    test(what, async () => {
      const row = await host.ended(await write(hostile));
      assert.deepEqual([row.state, row.error?.code], ['failed', hostile.code], JSON.stringify(row.error));
      assert.ok((row.error?.hint ?? '') !== '');
    });
  }
});

test('numbers of events that overflow do not keep an outcome from arriving', async () => {
  const id = newId();
  const workloadId = await host.addWorkload({ name: `e-${id.slice(-12)}` });
  await sql.begin(async (transaction) => {
    await transaction`insert into intents (id, kind, workload_id, host_id, requested_by) values (${id}, 'verify', ${workloadId}, ${host.id}, 'owner')`;
    await transaction`insert into intent_events (intent_id, host_id, seq, at, type, data) values (${id}, ${host.id}, 2147483647, now(), 'step', '{}')`;
  });
  assert.equal((await host.ended(id)).error?.code, 'SNAPSHOT_NOT_FOUND');
});

test('nothing was touched, nothing was made, and the agent still does what it may', async () => {
  assert.deepEqual(readdirSync(outside), ['precious']);
  assert.equal(readFileSync(join(outside, 'precious'), 'utf8'), 'data');
  assert.deepEqual(readdirSync(allowed).sort(), ['file', 'link']);
  assert.deepEqual(
    readdirSync(root)
      .filter((name) => !name.startsWith('live-'))
      .sort(),
    ['allowed', 'outside'],
  );
  assert.deepEqual(readdirSync(join(place.volumeBase, 'p')).sort(), ['dangling', 'data', 'link']);
  assert.deepEqual(await docker.mine(), [], 'no container');
  assert.equal(await docker.engine.volume('bank-data'), null, 'no Docker volume');
  assert.ok(existsSync(store.directoryOf(foreignId)));
  const workloadId = await host.addWorkload({ name: 'honest' });
  const { id, sha256 } = await makeSnapshot(workloadId);
  await sql`insert into snapshots (id, workload_id, host_id, intent_id, kind, manifest_sha256, image, image_id, captured_at)
    values (${id}, ${workloadId}, ${host.id}, ${newId()}, 'capture', ${sha256}, 'i', 'i', now())`;
  const verified = await host.ended(await host.addIntent('verify', workloadId, { snapshotId: id }));
  assert.equal(verified.state, 'succeeded', JSON.stringify(verified.error));
  const ended = await agent.drain();
  assert.equal(ended.code, 0);
});

test('ids that would name other files are none', () => {
  const hostId = newId();
  const config = { name: 'w', project: 'p', hostId, image: 'i:1' };
  const snapshot = {
    id: newId(),
    workloadId: newId(),
    kind: 'capture',
    manifestSha256: 'a'.repeat(64),
    protectedUntil: null,
  };
  const row = {
    id: newId(),
    kind: 'restore',
    state: 'claimed',
    leaseEpoch: 1,
    attempts: 1,
    params: {},
    expired: false,
    cancelRequested: false,
    workloadId: newId(),
    workloadVersion: 1,
    config,
    lastSeq: 0,
    snapshotId: snapshot.id,
    snapshot,
    undoOf: null,
    preRestoreSnapshot: null,
    requestedBy: 'x',
  } as unknown as ClaimedRow;
  assert.equal(parseClaim(row, hostId).id, row.id);
  for (const evil of [
    '../../etc/cron.d/x',
    '/etc/passwd',
    `${newId()}/x`,
    `${newId()}\0`,
    ` ${newId()}`,
    '',
    7,
    null,
    {},
  ]) {
    for (const change of [
      { id: evil },
      { workloadId: evil },
      { snapshot: { ...snapshot, id: evil } },
      { snapshot: { ...snapshot, workloadId: evil } },
      { snapshot: { ...snapshot, manifestSha256: evil } },
      { preRestoreSnapshot: { ...snapshot, id: evil } },
      ...(evil === null ? [] : [{ undoOf: evil }, { snapshotId: evil }]),
    ])
      assert.throws(
        () => parseClaim({ ...row, ...change } as ClaimedRow, hostId),
        { code: INVALID },
        JSON.stringify(change),
      );
  }
});
