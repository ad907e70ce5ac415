/**
 * One quick check for each guard that no crash and no failing disk would show: a symbolic link in the place of what the agent made is not
 * followed, and a holder with a stale epoch changes nothing. A check throws when the guard is missing. Bundled, with a mutant's change.
 */
import assert from 'node:assert/strict';
import {
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { readIndex } from '../../agent/archive/copy-index.ts';
import { copyTree } from '../../agent/archive/copy-tree.ts';
import { DirFds } from '../../agent/archive/dir-fds.ts';
import { extractArchive } from '../../agent/archive/extract.ts';
import { FrameSink } from '../../agent/archive/frame-sink.ts';
import { openHolder } from '../../agent/archive/holder.ts';
import { measureTree } from '../../agent/archive/measure.ts';
import { packTree } from '../../agent/archive/pack.ts';
import { emptyTree } from '../../agent/archive/remove-tree.ts';
import { O, openat } from '../../agent/archive/syscalls.ts';
import { hostLockHolder, takeHostLock } from '../../agent/claim/host-lock.ts';
import { Spool } from '../../agent/claim/spool.ts';
import { syncDirectory } from '../../agent/fs/durable.ts';
import { removeTree } from '../../agent/fs/remove-tree.ts';
import { readRootMetadata } from '../../agent/fs/root-metadata.ts';
import { Journal } from '../../agent/restore/journal.ts';
import { readSnapshotDirectory } from '../../agent/snapshots/read-manifest.ts';
import type { AgentSql, Holder } from '../../db/queries/agent-statement.ts';
import { appendEvents } from '../../db/queries/append-events.ts';
import { finishIntent } from '../../db/queries/finish-intent.ts';
import { markCommitted } from '../../db/queries/mark-committed.ts';
import { markSnapshotDeleted } from '../../db/queries/mark-snapshot-deleted.ts';
import { registerSnapshot } from '../../db/queries/register-snapshot.ts';
import { renewLease } from '../../db/queries/renew-lease.ts';
import { startIntent } from '../../db/queries/start-intent.ts';
import { updateProgress } from '../../db/queries/update-progress.ts';
import type { SnapshotRecord } from '../../db/results.ts';
import { claimedIntent } from '../helpers/intent.ts';

/** What is outside, where links lead: a file, and a directory with a file. */
interface Outside {
  readonly file: string;
  readonly directory: string;
}

const OLD = new Date('2020-01-01T00:00:00Z');
const LINK = (code: string) => ({ name: 'Error', code });
const nothing = (): void => undefined;
const privateIn = (directory: string): string => join(directory, '.refloat-01890a5d-ac96-774b-bcce-b302099a8057');

function plant(directory: string): Outside {
  const outside = join(directory, 'outside');
  mkdirSync(outside);
  const file = join(directory, 'file');
  for (const path of [file, join(outside, 'precious')]) writeFileSync(path, 'precious');
  utimesSync(file, OLD, OLD);
  return { file, directory: outside };
}

function assertUntouched({ file, directory }: Outside): void {
  assert.equal(readFileSync(file, 'utf8'), 'precious');
  assert.equal(statSync(file).mtimeMs, OLD.getTime());
  assert.equal(statSync(file).uid, 0);
  assert.deepEqual(readdirSync(directory), ['precious']);
}

const LINKS: Readonly<Record<string, (link: string, outside: Outside, directory: string) => unknown>> = {
  'sync-directory': (link, { directory }) => {
    symlinkSync(directory, link);
    assert.throws(() => syncDirectory(link));
  },
  'root-metadata': (link, { directory }) => {
    symlinkSync(directory, link);
    assert.throws(() => readRootMetadata(link));
  },
  'remove-tree': async (link, { directory }) => {
    symlinkSync(directory, link);
    await assert.rejects(removeTree(link));
  },
  'empty-tree': (link, { directory }) => {
    symlinkSync(directory, link);
    assert.throws(() => emptyTree(link));
  },
  'directory-below': (link, { directory }, scratch) => {
    symlinkSync(directory, link);
    const root = openat(-100, Buffer.from(`${scratch}\0`), O.RDONLY | O.DIRECTORY);
    assert.throws(() => new DirFds(root).get('link'));
  },
  holder: (_, { directory }, scratch) => {
    symlinkSync(directory, privateIn(scratch));
    assert.throws(() => openHolder(join(privateIn(scratch), 'precious')));
  },
  'tree-root': (_, { directory }, scratch) => {
    mkdirSync(privateIn(scratch));
    symlinkSync(directory, join(privateIn(scratch), 'data'));
    assert.throws(() => measureTree(join(privateIn(scratch), 'data')), { code: 'FILE_SYSTEM_FAILED' });
  },
  copy: async (link, { directory }, scratch) => {
    mkdirSync(join(scratch, 'source'));
    symlinkSync(directory, link);
    const [source, previousIndex] = [join(scratch, 'source'), '/dev/null'];
    const request = { source, destination: link, index: null, previousIndex, reflink: false, reserveBytes: 0 };
    await assert.rejects(copyTree(request, nothing));
  },
  'copy-index': (link, { file }) => {
    symlinkSync(file, link);
    assert.throws(() => [...readIndex(link)], LINK('ELOOP'));
  },
  journal: (link, { file }) => {
    const intent = claimedIntent();
    Journal.create(`${file}.jsonl`, intent, () => OLD).close();
    symlinkSync(`${file}.jsonl`, link);
    assert.throws(() => Journal.open(link, intent.id, () => OLD), LINK('ELOOP'));
  },
  spool: (_, { file }, scratch) => {
    const { id } = claimedIntent();
    mkdirSync(join(scratch, 'spool'));
    symlinkSync(`${file}.new`, join(scratch, 'spool', `${id}.jsonl`));
    assert.throws(() => Spool.open(scratch, id), LINK('ELOOP'));
  },
  'host-lock': (_, { file }, scratch) => {
    symlinkSync(file, join(scratch, 'agent.lock'));
    assert.throws(() => takeHostLock(scratch, 'me'));
  },
  'host-lock-holder': (_, { file }, scratch) => {
    symlinkSync(file, join(scratch, 'agent.lock'));
    assert.throws(() => hostLockHolder(scratch), LINK('ELOOP'));
  },
  manifest: (_, { file }, scratch) => {
    symlinkSync(file, join(scratch, 'manifest.json'));
    assert.throws(() => readSnapshotDirectory(scratch), { code: 'MANIFEST_MISSING' });
  },
  'archive-file': (link, { file }) => {
    symlinkSync(file, link);
    assert.throws(() => new FrameSink(link), LINK('ELOOP'));
  },
  destination: async (link, { directory }, scratch) => {
    const archive = await packed(scratch, () => undefined);
    symlinkSync(directory, link);
    await assert.rejects(extractArchive({ archive, destination: link, policy: 'faithful' }, nothing));
  },
  'links-in-archive': async (_, { file }, scratch) => {
    const archive = await packed(scratch, (tree) => symlinkSync(file, join(tree, 'to-outside')));
    const destination = join(scratch, 'extracted');
    mkdirSync(destination);
    await extractArchive({ archive, destination, policy: 'faithful' }, nothing);
    assert.ok(lstatSync(join(destination, 'to-outside')).isSymbolicLink());
    assert.equal(measureTree(destination).symlinks, 1);
  },
};

/** A tree of one file, and what else is put into it, owned by somebody. */
async function packed(scratch: string, fill: (tree: string) => void): Promise<string> {
  const tree = join(scratch, 'tree');
  mkdirSync(tree);
  writeFileSync(join(tree, 'inside'), 'new');
  fill(tree);
  for (const name of readdirSync(tree)) lchownSync(join(tree, name), 1234, 1234);
  const archive = join(scratch, 'archive');
  writeFileSync(archive, '');
  await packTree(tree, archive, nothing);
  return archive;
}

/** @throws AssertionError or whatever else shows that the guard is missing */
export async function checkLink(name: string, directory: string): Promise<void> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, 'scratch'), { recursive: true });
  const outside = plant(directory);
  const scratch = join(directory, 'scratch');
  await (LINKS[name] ?? assert.fail(name))(join(scratch, 'link'), outside, scratch);
  assertUntouched(outside);
}

/** Whether a write of this holder was accepted. The intent has kind `delete`, is claimed, and is about `snapshotId`. */
const WRITES: Readonly<Record<string, (sql: AgentSql, holder: Holder, snapshotId: string) => Promise<boolean>>> = {
  'start-intent': startIntent,
  'update-progress': (sql, holder) => updateProgress(sql, holder, 'stage', null),
  'append-events': (sql, holder) =>
    appendEvents(sql, holder, [{ seq: 1, at: OLD.toISOString(), type: 'step', data: {} }]),
  'register-snapshot': (sql, holder) => registerSnapshot(sql, holder, record(holder)),
  'renew-lease': async (sql, holder) => (await renewLease(sql, holder)) !== null,
  'mark-committed': async (sql, holder) => (await markCommitted(sql, holder)) === 'committed',
  'mark-snapshot-deleted': markSnapshotDeleted,
  'finish-intent': async (sql, holder) =>
    (await finishIntent(sql, holder, { state: 'failed', result: null, error: null })) !== 'lost',
};

function record({ intentId }: Holder): SnapshotRecord {
  const ids = claimedIntent();
  return {
    id: ids.id,
    workloadId: ids.workload.id,
    intentId,
    kind: 'capture',
    manifestSha256: 'a1'.repeat(32),
    image: 'i',
    imageId: 'i',
    capturedAt: OLD.toISOString(),
    protectedUntil: null,
    volumes: [],
  };
}

/** @param holder the one that holds the intent now; the one before it had the epoch before */
export async function checkEpoch(name: string, sql: AgentSql, holder: Holder, snapshotId: string): Promise<void> {
  const write = WRITES[name] ?? assert.fail(name);
  const stale = { ...holder, leaseEpoch: holder.leaseEpoch - 1 };
  assert.equal(await write(sql, stale, snapshotId), false, 'a stale epoch was accepted');
  assert.equal(await write(sql, holder, snapshotId), true, 'the right epoch was refused');
}
