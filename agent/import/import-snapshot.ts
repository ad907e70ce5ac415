/**
 * Makes a snapshot of a workload from archives that other tools wrote.
 *
 * Guarantees: an archive is unpacked by the same process, behind the same walls and by the same rules as in a restore, and packed again
 * into the snapshot's own format, so that what is restored later is this program's own archive; the manifest says where it came from
 * and by which policy. A failure leaves nothing. Beginning again with the same id returns the snapshot that is there.
 * Does not guarantee: that the archives hold what the person thinks; layout.ts says what it took them for.
 */
import { chmodSync, closeSync, constants, lstatSync, openSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { RefloatError } from '../../db/errors.ts';
import type { Progress, Skipped, SnapshotOrigin } from '../../db/results.ts';
import type { WorkloadConfig } from '../../db/workload.ts';
import { escapeName } from '../archive/refusal.ts';
import type { Archiver, ArchiveSummary, Limits, Policy } from '../archive/types.ts';
import { identify, makeDirectoryDurably } from '../fs/durable.ts';
import { tryLockFile } from '../fs/native.ts';
import { removeTree } from '../fs/remove-tree.ts';
import {
  type CreatedSnapshot,
  type CreateSnapshotOptions,
  createSnapshot,
  type SnapshotSource,
} from '../snapshots/create-snapshot.ts';
import { deleteSnapshot } from '../snapshots/delete-snapshot.ts';
import { ensureStore, importPath, type SnapshotStore } from '../snapshots/store.ts';
import { type Found, findVolumes, type Wanted } from './layout.ts';

/** One archive file and what is wanted of it. */
export interface ImportArchive {
  readonly path: string;
  /** As the person gave it; kept in the manifest. */
  readonly file: string;
  readonly wanted: readonly Wanted[];
}

export interface ImportOptions {
  readonly store: SnapshotStore;
  readonly archiver: Archiver;
  readonly id: string;
  readonly intentId: string;
  readonly workload: { readonly id: string; readonly config: WorkloadConfig };
  readonly archives: readonly ImportArchive[];
  /** `faithful` is a person's decision. */
  readonly policy: Policy;
  /** Who decided, for manifest and audit. */
  readonly importedBy: string;
  readonly limits?: Partial<Limits>;
  readonly now: () => Date;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

export interface ImportedSnapshot extends CreatedSnapshot {
  /** What the policy left out, by volume. */
  readonly skipped: readonly Skipped[];
  readonly warnings: readonly string[];
}

interface Unpacked {
  readonly archive: ImportArchive;
  readonly root: string;
  readonly summary: ArchiveSummary;
  readonly found: readonly Found[];
}

/**
 * @throws RefloatError those of the archiver; `VOLUME_UNKNOWN`, `IMPORT_AMBIGUOUS`, `VALIDATION_FAILED`, `ARCHIVE_MISSING`
 */
export async function importSnapshot(options: ImportOptions): Promise<ImportedSnapshot> {
  checkVolumes(options);
  const { store, id } = options;
  if (identify(store.directoryOf(id)) !== null) return imported(await createSnapshot(describe(options, [], [])), []);
  ensureStore(store);
  const staging = importPath(store, id);
  await removeTree(staging);
  makeDirectoryDurably(staging, 0o700);
  // Held while this process works here, so that an agent that starts beside it leaves these directories alone.
  const lock = openSync(staging, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    tryLockFile(lock, staging);
    const warnings: string[] = [];
    const unpacked = await unpackAll(options, staging, warnings);
    return await pack(options, unpacked, warnings);
  } catch (error) {
    await deleteSnapshot(store, id);
    throw error;
  } finally {
    closeSync(lock);
    await removeTree(staging);
  }
}

/** Every named volume is one of the workload's, and none is named twice. */
function checkVolumes({ archives, workload }: ImportOptions): void {
  const known = workload.config.volumes.map(({ name }) => name);
  const named = archives.flatMap(({ wanted }) => wanted.flatMap(({ volume }) => volume ?? []));
  for (const [index, volume] of named.entries()) {
    if (!known.includes(volume))
      throw new RefloatError('VOLUME_UNKNOWN', `workload "${workload.config.name}" has no volume "${volume}"`, {
        hint: known.length === 0 ? 'It has no volumes.' : `It has ${known.map((name) => `"${name}"`).join(', ')}.`,
        details: { usage: true, volume },
      });
    if (named.indexOf(volume) !== index) throw twice(volume);
  }
}

function twice(volume: string): RefloatError {
  return new RefloatError('IMPORT_AMBIGUOUS', `two archives are for the volume "${volume}"`, {
    hint: 'Name one archive for each volume, with --volume NAME=FILE.',
    details: { usage: true, volume },
  });
}

async function unpackAll(options: ImportOptions, staging: string, warnings: string[]): Promise<Unpacked[]> {
  const { archives, archiver, policy, workload, limits, signal } = options;
  const bytesTotal = archives.reduce(
    (sum, { path }) => sum + (lstatSync(path, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
  const named = new Set(archives.flatMap(({ wanted }) => wanted.flatMap(({ volume }) => volume ?? [])));
  const taken = new Set<string>();
  const all: Unpacked[] = [];
  for (const [index, archive] of archives.entries()) {
    requireFile(archive);
    const root = join(staging, String(index));
    const summary = await archiver.extract({
      archive: archive.path,
      destination: root,
      policy,
      unrestorable: 'leave-out',
      absoluteNames: 'rooted',
      ...(limits === undefined ? {} : { limits }),
      ...(signal === undefined ? {} : { signal }),
      onProgress: (bytesDone, entriesDone) =>
        options.onProgress?.({ bytesDone, bytesTotal: Math.max(bytesTotal, bytesDone), entriesDone }),
    });
    warnings.push(...(summary.warnings ?? []));
    const free = workload.config.volumes.map(({ name }) => name).filter((name) => !named.has(name) && !taken.has(name));
    const { wanted, file } = archive;
    const layout = findVolumes({ root, hasRoot: summary.hasRoot, file, wanted, volumes: free });
    warnings.push(...layout.warnings);
    for (const { volume, inside } of layout.found) {
      if (taken.has(volume)) throw twice(volume);
      taken.add(volume);
      if (inside === '' && !summary.hasRoot) describeRoot(root, volume, warnings);
    }
    all.push({ archive, root, summary, found: layout.found });
  }
  for (const { name } of workload.config.volumes)
    if (!taken.has(name)) warnings.push(`volume "${name}" is in none of the archives; a restore leaves it as it is`);
  return all;
}

function requireFile({ path, file }: ImportArchive): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  throw new RefloatError('ARCHIVE_MISSING', `there is no ${file}`, {
    hint: 'Check the path.',
    details: { usage: true },
  });
}

/** Staging is private; a volume's root usually is not, and containers may run as anybody. */
function describeRoot(root: string, volume: string, warnings: string[]): void {
  chmodSync(root, 0o755);
  warnings.push(`the archive does not describe the root of volume "${volume}": it gets mode 0755 and owner 0:0`);
}

async function pack(
  options: ImportOptions,
  unpacked: readonly Unpacked[],
  warnings: readonly string[],
): Promise<ImportedSnapshot> {
  const { workload } = options;
  const sources: SnapshotSource[] = unpacked.flatMap(({ root, found, summary }) =>
    found.map(({ volume, inside }) => {
      const configured = workload.config.volumes.find(({ name }) => name === volume);
      if (configured === undefined) throw new Error(`volume ${volume} was checked before`);
      const { name, scope, source, target } = configured;
      return {
        name,
        scope,
        source,
        target,
        path: join(root, inside),
        notCopied: skippedOf(summary, found, inside),
      };
    }),
  );
  return imported(await createSnapshot(describe(options, sources, unpacked)), warnings);
}

function describe(
  options: ImportOptions,
  volumes: readonly SnapshotSource[],
  unpacked: readonly Unpacked[],
): CreateSnapshotOptions {
  const { store, archiver, id, intentId, workload, policy, importedBy, signal, onProgress } = options;
  const origin: SnapshotOrigin = {
    policy,
    importedBy,
    importedAt: options.now().toISOString(),
    archives: unpacked.map(({ archive, summary, found }) => ({
      file: archive.file.slice(0, 1024),
      fileSha256: summary.sha256,
      bytes: summary.archiveBytes,
      volumes: found.map(({ volume, inside }) => ({ name: volume, inside })),
    })),
  };
  return {
    ...{ store, archiver, id, intentId, volumes, origin },
    kind: 'imported',
    workload: { id: workload.id, name: workload.config.name },
    image: workload.config.image,
    imageId: '',
    capturedAt: newestOf(unpacked, options.now()),
    protectedUntil: null,
    config: workload.config,
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  };
}

function imported(created: CreatedSnapshot, warnings: readonly string[]): ImportedSnapshot {
  const skipped = created.manifest.volumes.flatMap((volume) =>
    volume.skipped.map(
      ({ path, reason, detail, count }): Skipped => ({
        ...{ volume: volume.name, path, reason },
        ...(detail === undefined ? {} : { detail }),
        ...(count === undefined ? {} : { count }),
      }),
    ),
  );
  return { ...created, skipped, warnings };
}

/** What was left out below a volume's root, or of the whole archive if it has one volume. */
function skippedOf({ skipped }: ArchiveSummary, found: readonly Found[], inside: string): Skipped[] {
  if (found.length === 1 && inside === '') return [...skipped];
  const prefix = `${escapeName(Buffer.from(inside))}/`;
  const first = found[0]?.inside === inside;
  return skipped.flatMap((each) => {
    const path = each.path.replace(/^(\.?\/)*/, '');
    if (path.startsWith(prefix)) return [{ ...each, path: path.slice(prefix.length) }];
    const elsewhere = !found.some((other) => path.startsWith(`${escapeName(Buffer.from(other.inside))}/`));
    return first && elsewhere ? [each] : [];
  });
}

/** When the backup was made: an old one must not become the newest snapshot by being imported. */
function newestOf(unpacked: readonly Unpacked[], now: Date): Date {
  const newest = Math.max(0, ...unpacked.map(({ archive }) => statSync(archive.path).mtimeMs));
  return new Date(Math.min(newest, now.getTime()));
}

/** Whether another process works on the import of this id right now. */
export function isBeingImported(store: SnapshotStore, id: string): boolean {
  const path = importPath(store, id);
  if (identify(path) === null) return false;
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return !tryLockFile(fd, basename(path));
  } finally {
    closeSync(fd);
  }
}
