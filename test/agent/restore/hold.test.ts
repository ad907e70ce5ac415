import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { pino } from 'pino';
import { verifyArchive } from '../../../agent/archive/extract.ts';
import { measureTree } from '../../../agent/archive/measure.ts';
import { packTree } from '../../../agent/archive/pack.ts';
import type { Archiver } from '../../../agent/archive/types.ts';
import type { AgentConfig } from '../../../agent/config.ts';
import { WorkloadLocks } from '../../../agent/deploy/workload-lock.ts';
import type { AgentDeps } from '../../../agent/deps.ts';
import type { Engine } from '../../../agent/docker/engine.ts';
import { mountOf, readMounts } from '../../../agent/fs/mounts.ts';
import type { VolumeTarget } from '../../../agent/fs/volume-path.ts';
import type { ClaimedIntent } from '../../../agent/intents/claimed-intent.ts';
import { recoverHost } from '../../../agent/recover-host.ts';
import { exchangeForward, planExchange } from '../../../agent/restore/exchange.ts';
import type { Target } from '../../../agent/restore/facts.ts';
import { assertHeld, finishAdoptions, heldTargets } from '../../../agent/restore/hold.ts';
import { Journal } from '../../../agent/restore/journal.ts';
import { ensureJournalDirectory, heldTrees, journalPath, readJournal } from '../../../agent/restore/journal-dir.ts';
import { roomToMake } from '../../../agent/restore/low-disk.ts';
import { beingRemoved, release, releaseBeforeSnapshot, releaseExpired } from '../../../agent/restore/release.ts';
import { keepWhatIsThere } from '../../../agent/restore/resolve.ts';
import { createSnapshot } from '../../../agent/snapshots/create-snapshot.ts';
import { ensureStore, snapshotStore } from '../../../agent/snapshots/store.ts';
import type { ErrorCode } from '../../../db/errors.ts';
import { newId } from '../../../db/ids.ts';
import type { Outcome } from '../../../db/results.ts';
import { claimedIntent } from '../../helpers/intent.ts';
import { SILENT_CONTROL } from '../../helpers/silent-control.ts';
import { restoreTarget } from '../../helpers/target.ts';

const root = mkdtempSync(join(tmpdir(), 'refloat-hold-'));
after(() => rmSync(root, { recursive: true }));
const stateDir = join(root, 'state');
mkdirSync(stateDir);
ensureJournalDirectory(stateDir);
const store = snapshotStore(stateDir);
ensureStore(store);

/** Read and written in this process. */
const archiver = {
  async pack({ root: directory, archive }) {
    writeFileSync(archive, '');
    return packTree(directory, archive, () => undefined);
  },
  verify: async (options) => verifyArchive(options, () => undefined),
  measure: async (directory) => measureTree(directory),
} as Pick<Archiver, 'pack' | 'verify' | 'measure'> as Archiver;

let now = new Date();
const deps = {
  config: { stateDir } as AgentConfig,
  archiver,
  locks: new WorkloadLocks(),
  now: () => now,
  log: pino({ level: 'silent' }),
} as unknown as AgentDeps;

const DAY_MS = 86_400_000;
let made = 0;

interface Done {
  readonly intent: ClaimedIntent;
  readonly targets: readonly Target[];
  readonly snapshotId: string;
}

function write(directory: string, what: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'which'), what);
}

function whichAt(directory: string): string | null {
  const path = join(directory, 'which');
  return existsSync(path) ? readFileSync(path, 'utf8') : null;
}

/** Volumes with `old` live and `new` staged. */
function volumesOf(names: readonly string[]): Target[] {
  const place = join(root, `w${++made}`);
  return names.map((volume) => {
    const target = restoreTarget(join(place, volume), { volume, privateName: `.refloat-${newId()}` });
    write(target.live, 'old');
    write(target.staging, 'new');
    return target;
  });
}

interface How {
  /** Of some volumes only: then it is not told how it ended. */
  readonly exchanged?: readonly string[];
  readonly undone?: Done;
  readonly state?: Outcome['state'];
  /** Why it did not succeed. */
  readonly code?: ErrorCode;
}

/** An intent that did what a restore or an undo does to the disk and to the journal, and holds what was live before. */
async function did(
  targets: readonly Target[],
  { exchanged, undone, state = 'succeeded', code = 'STATE_UNDECIDABLE' }: How = {},
): Promise<Done> {
  const workload = undone === undefined ? {} : { workload: undone.intent.workload };
  const intent = claimedIntent(undone === undefined ? 'restore' : 'undo', {}, workload);
  const journal = Journal.create(journalPath(stateDir, intent.id), intent, () => new Date());
  const note = (name: string, fact: unknown) => journal.append({ type: 'note', name, fact });
  const adoptedFrom = undone?.intent.id ?? null;
  journal.append({ type: 'done', step: 'preflight', ms: 1, fact: { targets, adoptedFrom } });
  const exchanges = targets.map((target) => planExchange(target) ?? assert.fail());
  note('exchanges', exchanges);
  journal.append({ type: 'started', step: 'swap' }, { type: 'commit' });
  for (const exchange of exchanges) if (exchanged?.includes(exchange.volume) !== false) exchangeForward(exchange);
  const snapshotId = newId();
  note('preRestoreSnapshotId', snapshotId);
  await createSnapshot({
    store,
    archiver,
    id: snapshotId,
    kind: 'pre-restore',
    workload: { id: intent.workload.id, name: 'w' },
    image: 'i',
    imageId: 'sha256:1',
    intentId: intent.id,
    capturedAt: new Date(),
    protectedUntil: null,
    volumes: targets.map(({ volume, scope, source, mountedAt, staging }) => ({
      name: volume,
      scope,
      source,
      target: mountedAt,
      path: staging,
    })),
  });
  const held = targets.map(({ volume, live, staging }) => ({ volume, live, previous: staging }));
  const undoUntil = new Date(Date.now() + DAY_MS).toISOString();
  const error = { code, message: 'no', hint: 'h', disposition: 'stuck' } as const;
  const outcome: Outcome =
    state === 'succeeded'
      ? { state, result: { held, undoUntil, preRestoreSnapshotId: snapshotId }, error: null }
      : { state, result: null, error };
  journal.append({ type: 'outcome', outcome });
  journal.close();
  return { intent, targets, snapshotId };
}

function stateOf({ intent }: Done) {
  return readJournal(stateDir, intent.id).state ?? assert.fail();
}

function holds(done: Done): boolean {
  return heldTrees(stateOf(done)).length > 0;
}

function targetsFor({ intent, targets }: Done, warnings: string[] = []): Target[] | null {
  const volumes = targets.map(
    ({ volume, scope, source, mountedAt, live }): VolumeTarget => ({
      name: volume,
      scope,
      source,
      target: mountedAt,
      readOnly: false,
      shared: false,
      live,
      exists: true,
    }),
  );
  return heldTargets(deps, intent.id, intent.workload.id, volumes, (message) => warnings.push(message));
}

/** Housekeeping two days later. */
async function endWindows(): Promise<void> {
  now = new Date(Date.now() + 2 * DAY_MS);
  try {
    await releaseExpired(deps);
  } finally {
    now = new Date();
  }
}

test('trees that an undo took over are the undo’s alone, also when the disk kept that from being said', async () => {
  const undone = await did(volumesOf(['data']));
  const undo = await did(undone.targets, { undone });
  assert.deepEqual([holds(undone), holds(undo)], [true, true]);
  assert.equal(await release(deps, undone.intent.id, 'expired').catch(() => false), false);
  assert.equal(await release(deps, undo.intent.id, 'expired'), false, 'while two intents name it, nobody ends it');
  finishAdoptions(deps);
  finishAdoptions(deps);
  assert.deepEqual([holds(undone), holds(undo)], [false, true]);
  assert.equal(targetsFor(undo)?.length, 1, 'an undo has the old inode in its own journal');
  await endWindows();
  assert.deepEqual([holds(undo), existsSync(dirname(undo.targets[0]?.staging ?? '/'))], [false, false]);
});

test('an undo that took itself back took nothing over', async () => {
  const undone = await did(volumesOf(['data']));
  await did(undone.targets, { undone, exchanged: [], state: 'rolled_back' });
  finishAdoptions(deps);
  assert.equal(holds(undone), true);
  await endWindows();
});

test('a tree that is not what the intent left there is neither handed to an undo nor removed, and is named', async () => {
  const done = await did(volumesOf(['one', 'two']));
  assert.equal(targetsFor(done)?.length, 2);
  const [one, two] = done.targets.map(({ staging }) => staging);
  assert.ok(one !== undefined && two !== undefined);
  renameSync(one, `${one}.moved`);
  write(one, 'something else');
  const warnings: string[] = [];
  assert.equal(targetsFor(done, warnings), null);
  assert.match(warnings.join(), /is not what the intent .* left there/);
  assert.throws(() => assertHeld(deps, done.intent.id, done.targets), { code: 'PREVIOUS_GONE' });
  await assert.rejects(release(deps, done.intent.id, 'expired'), { code: 'STATE_UNDECIDABLE' });
  await endWindows();
  assert.deepEqual([whichAt(one), whichAt(two), holds(done)], ['something else', 'old', true]);
});

test('what an undo that a person ended had moved is not removed when the undone window ends', async () => {
  const undone = await did(volumesOf(['one', 'two']));
  for (const { live } of undone.targets) writeFileSync(join(live, 'which'), 'since');
  const undo = await did(undone.targets, { undone, exchanged: ['one'], state: 'stuck' });
  const held = () => undone.targets.map(({ staging }) => whichAt(staging));
  assert.deepEqual(held(), ['since', 'old']);
  assert.equal(targetsFor(undone), null, 'only one of the two is there');
  const { outcome, left } = await keepWhatIsThere(deps, undo.intent.id, SILENT_CONTROL);
  assert.deepEqual([outcome.state, outcome.error?.code, left.length], ['failed', 'RESOLVED', 2]);
  assert.equal(outcome.result?.preRestoreSnapshotId, undo.snapshotId);
  assert.deepEqual([stateOf(undone).released, holds(undone)], ['resolved', false]);
  await endWindows();
  assert.deepEqual(held(), ['since', 'old']);
});

test('the same without the word of the resolved intent: the inodes tell', async () => {
  const undone = await did(volumesOf(['one']));
  writeFileSync(join(undone.targets[0]?.live ?? '', 'which'), 'since');
  const undo = await did(undone.targets, { undone, state: 'failed' });
  await endWindows();
  assert.deepEqual(
    undo.targets.map(({ staging }) => whichAt(staging)),
    ['since'],
  );
});

test('a pre-restore snapshot of which nobody was told goes at the next start, unless a person ended its intent', async () => {
  const unknown = await did(volumesOf(['data']), { state: 'failed', code: 'FSYNC_FAILED' });
  const resolved = await did(volumesOf(['data']), { state: 'failed', code: 'RESOLVED' });
  const engine = { list: async () => [] } as unknown as Engine;
  await recoverHost({ ...deps, engine });
  assert.deepEqual(
    [unknown, resolved].map(({ snapshotId }) => existsSync(store.directoryOf(snapshotId))),
    [false, true],
  );
});

for (const why of ['expired', 'low-disk'] as const) {
  test(`${why}: without its snapshot the previous tree stays, and is named`, async () => {
    const done = await did(volumesOf(['data']));
    renameSync(store.directoryOf(done.snapshotId), join(root, `away-${done.snapshotId}`));
    await assert.rejects(release(deps, done.intent.id, why), { code: 'PREVIOUS_GONE' });
    if (why === 'expired') await endWindows();
    assert.deepEqual([whichAt(done.targets[0]?.staging ?? ''), holds(done)], ['old', true]);
  });
}

test('a release that was begun is finished, although the disk is not low any more', async () => {
  const done = await did(volumesOf(['one', 'two']));
  const [one] = done.targets;
  assert.ok(one !== undefined);
  renameSync(one.staging, join(one.privateDirectory, '.removing-one'));
  assert.equal(targetsFor(done), null, 'an undo adopts all or none');
  await releaseExpired(deps);
  assert.equal(stateOf(done).released, 'low-disk');
  assert.deepEqual(
    done.targets.map(({ privateDirectory }) => existsSync(privateDirectory)),
    [false, false],
  );
});

test('what is left of a release is removed later, before its journal is forgotten', async () => {
  const done = await did(volumesOf(['data']));
  assert.equal(await release(deps, done.intent.id, 'low-disk'), true);
  const [target] = done.targets;
  assert.ok(target !== undefined);
  const half = join(target.privateDirectory, '.removing-data');
  write(half, 'half of it');
  assert.deepEqual(beingRemoved(stateOf(done)), [half]);
  now = new Date(Date.now() + 40 * DAY_MS);
  await releaseExpired(deps);
  now = new Date();
  assert.equal(existsSync(target.privateDirectory), false);
});

test('before its snapshot is deleted, a tree whose window is over goes', async () => {
  const done = await did(volumesOf(['data']));
  await releaseBeforeSnapshot(deps, done.snapshotId);
  assert.equal(holds(done), true, 'the window is not over');
  now = new Date(Date.now() + 2 * DAY_MS);
  await releaseBeforeSnapshot(deps, done.snapshotId);
  now = new Date();
  assert.deepEqual([holds(done), existsSync(done.targets[0]?.privateDirectory ?? '/')], [false, false]);
});

test('how much room the held trees would make is told by file system, without what may not go', async () => {
  const first = await did(volumesOf(['data']));
  writeFileSync(join(first.targets[0]?.staging ?? '', 'large'), Buffer.alloc(1_048_576, 1));
  const by = { id: newId(), workload: first.intent.workload };
  const { mountPoint } = mountOf(readMounts(), root);
  // A disk with as little room as the trees would just make, and one with too little all the same.
  const disk = (bytesFree: number) => {
    const type = 'ext4';
    return [{ mountPoint, type, bytesNeeded: 1_048_576, bytesFree, inodesNeeded: 3, inodesFree: 0 }];
  };
  const room = await roomToMake(deps, by, disk(0), null);
  assert.deepEqual(room, { refusals: [], full: [mountPoint], intentIds: [first.intent.id] });
  assert.deepEqual(await roomToMake(deps, by, [], null), { refusals: [], full: [], intentIds: [] });
  const codes = async (...[fileSystems, except]: [ReturnType<typeof disk>, string | null]) =>
    (await roomToMake(deps, by, fileSystems, except)).refusals.map(({ code }) => code);
  assert.deepEqual(await codes(disk(-1_048_576), null), ['DISK_FULL', 'INODES_FULL']);
  assert.deepEqual(await codes(disk(0), first.intent.id), ['DISK_FULL', 'INODES_FULL'], 'it needs that one');
  renameSync(store.directoryOf(first.snapshotId), join(root, `away-${first.snapshotId}`));
  assert.deepEqual(await codes(disk(0), null), ['DISK_FULL', 'INODES_FULL'], 'the last copy stays');
});
