/**
 * Makes a snapshot of directories that nobody changes meanwhile.
 *
 * Guarantees: a snapshot that is there is complete, verified by reading every archive back, and durable; it appears by one
 * rename. Making one id again returns the one that is there. A failure or crash leaves at most `.partial-<id>`, which the
 * next attempt and the agent's start remove.
 * Does not guarantee: that the directories stood still; freezing the containers is the caller's work.
 */
import { join } from 'node:path';
import { RefloatError } from '../../db/errors.ts';
import {
  countSkipped,
  type Progress,
  type Skipped,
  type SnapshotKind,
  type SnapshotOrigin,
  type SnapshotRecord,
} from '../../db/results.ts';
import type { Scope } from '../../db/scopes.ts';
import type { WorkloadConfig } from '../../db/workload.ts';
import { inParallel } from '../archive/in-parallel.ts';
import { countsOf } from '../archive/tree-counts.ts';
import type { Archiver, ArchiveSummary } from '../archive/types.ts';
import { identify, makeDirectoryDurably, renameDurably, syncDirectory, writeFileDurably } from '../fs/durable.ts';
import { removeTree } from '../fs/remove-tree.ts';
import { crashPoint } from '../restore/crash-point.ts';
import { AGENT_VERSION } from '../version.ts';
import { limitsOf } from './limits.ts';
import {
  archiveName,
  encodeManifest,
  MANIFEST,
  MANIFEST_FORMAT,
  MANIFEST_VERSION,
  MAX_SKIPPED_LISTED,
  type Manifest,
} from './manifest.ts';
import { readSnapshotDirectory } from './read-manifest.ts';
import { ensureStore, partialPath, type SnapshotStore } from './store.ts';

export interface SnapshotSource {
  readonly name: string;
  readonly scope: Scope;
  readonly source: string;
  /** Path inside the containers. */
  readonly target: string;
  /** The directory to read. */
  readonly path: string;
  /** What did not make it into that directory, when it is a copy. */
  readonly notCopied?: readonly Skipped[];
}

export interface CreateSnapshotOptions {
  readonly store: SnapshotStore;
  readonly archiver: Archiver;
  readonly id: string;
  readonly kind: SnapshotKind;
  readonly workload: { readonly id: string; readonly name: string };
  readonly image: string;
  readonly imageId: string;
  readonly volumes: readonly SnapshotSource[];
  readonly intentId: string;
  readonly capturedAt: Date;
  /** RFC 3339: until then it is the last copy of a previous state. */
  readonly protectedUntil: string | null;
  /** Of an imported snapshot. */
  readonly origin?: SnapshotOrigin;
  /** Written into the manifest without its environment, for people. */
  readonly config?: WorkloadConfig;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** What all volumes together hold, if known; for the progress bar only. */
  readonly bytesTotal?: number;
}

export interface CreatedSnapshot extends SnapshotRecord {
  readonly path: string;
  readonly manifest: Manifest;
}

/**
 * Packs, verifies and publishes.
 * @throws RefloatError those of the archiver; `ARCHIVE_CORRUPT` when an archive does not read back as it was written
 */
export async function createSnapshot(options: CreateSnapshotOptions): Promise<CreatedSnapshot> {
  const path = options.store.directoryOf(options.id);
  if (identify(path) !== null) {
    // Whoever published it may have been killed before that was durable.
    syncDirectory(options.store.directory);
    return describe(options, path);
  }
  ensureStore(options.store);
  const partial = partialPath(options.store, options.id);
  await removeTree(partial);
  makeDirectoryDurably(partial, 0o700);
  try {
    const summaries = await packAll(options, partial);
    await verifyAll(options, partial, summaries);
    crashPoint('snapshot:before-manifest');
    writeFileDurably(join(partial, 'manifest.json'), encodeManifest(manifestOf(options, summaries)));
    syncDirectory(partial);
    crashPoint('snapshot:before-publish');
    renameDurably(partial, path);
    crashPoint('snapshot:after-publish');
  } catch (error) {
    // What was being written is thrown away, never repaired; if that fails too, the agent's start removes it.
    await removeTree(partial).catch(() => undefined);
    // Published, and not known to be durable: nobody is told of it, so nobody would ever remove it.
    await removeTree(path).catch(() => undefined);
    throw error;
  }
  return describe(options, path);
}

async function packAll(options: CreateSnapshotOptions, partial: string): Promise<Map<string, ArchiveSummary>> {
  const done = new Map<string, { bytes: number; entries: number }>();
  const report = () => {
    let bytesDone = 0;
    let entriesDone = 0;
    for (const volume of done.values()) {
      bytesDone += volume.bytes;
      entriesDone += volume.entries;
    }
    options.onProgress?.({ bytesDone, bytesTotal: Math.max(options.bytesTotal ?? 0, bytesDone), entriesDone });
  };
  const summaries = await inParallel(options.volumes, options.signal, async (volume, signal) => {
    const summary = await options.archiver.pack({
      root: volume.path,
      archive: join(partial, archiveName(volume.name)),
      signal,
      onProgress: (bytes, entries) => {
        done.set(volume.name, { bytes, entries });
        report();
      },
    });
    crashPoint('snapshot:packed');
    return [volume.name, summary] as const;
  });
  return new Map(summaries);
}

/** Reads every archive back with the parser that a restore uses: what cannot be restored is no snapshot. */
async function verifyAll(
  options: CreateSnapshotOptions,
  partial: string,
  summaries: ReadonlyMap<string, ArchiveSummary>,
): Promise<void> {
  await inParallel([...summaries], options.signal, async ([name, packed], signal) => {
    const { sha256, archiveBytes } = packed;
    const counts = countsOf(packed);
    await options.archiver.verify({
      archive: join(partial, archiveName(name)),
      policy: 'faithful',
      limits: limitsOf({ counts, longestPath: packed.longestPath }),
      expected: { sha256, archiveBytes, counts },
      signal,
    });
  });
}

function manifestOf(options: CreateSnapshotOptions, summaries: ReadonlyMap<string, ArchiveSummary>): Manifest {
  const { env: _, ...config } = options.config ?? { env: {} };
  return MANIFEST.parse({
    format: MANIFEST_FORMAT,
    version: MANIFEST_VERSION,
    id: options.id,
    kind: options.kind,
    workload: { id: options.workload.id, name: options.workload.name },
    intentId: options.intentId,
    capturedAt: options.capturedAt.toISOString(),
    image: { reference: options.image, id: options.imageId },
    agentVersion: AGENT_VERSION,
    ...(options.origin === undefined ? {} : { origin: options.origin }),
    volumes: options.volumes.map((volume) => {
      const summary = summaries.get(volume.name);
      if (summary === undefined) throw new Error(`volume ${volume.name} was not packed`);
      const { sha256, archiveBytes } = summary;
      const skipped = [...(volume.notCopied ?? []), ...summary.skipped];
      return {
        name: volume.name,
        scope: volume.scope,
        source: volume.source,
        target: volume.target,
        archive: archiveName(volume.name),
        sha256,
        archiveBytes,
        counts: countsOf(summary),
        ...(summary.longestPath === undefined ? {} : { longestPath: summary.longestPath }),
        skippedCount: countSkipped(skipped),
        skipped: skipped.slice(0, MAX_SKIPPED_LISTED),
      };
    }),
    // Through JSON: members that are undefined are not there.
    ...(options.config === undefined ? {} : { config: JSON.parse(JSON.stringify(config)) as unknown }),
  });
}

/** What a published snapshot is, read back from the disk. */
function describe(options: CreateSnapshotOptions, path: string): CreatedSnapshot {
  const { manifest, manifestSha256 } = readSnapshotDirectory(path);
  if (manifest.id !== options.id || manifest.workload.id !== options.workload.id || manifest.kind !== options.kind) {
    throw new RefloatError('MANIFEST_CHANGED', `${path} holds another snapshot than ${options.id}`, {
      hint: 'Move the directory away by hand, then try again.',
      details: { path },
    });
  }
  return { ...recordOf(manifest, manifestSha256, options.protectedUntil), path, manifest };
}

/** What Postgres is told of a snapshot. */
export function recordOf(manifest: Manifest, manifestSha256: string, protectedUntil: string | null): SnapshotRecord {
  return {
    id: manifest.id,
    workloadId: manifest.workload.id,
    intentId: manifest.intentId,
    kind: manifest.kind,
    manifestSha256,
    image: manifest.image.reference,
    imageId: manifest.image.id,
    capturedAt: manifest.capturedAt,
    protectedUntil,
    ...(manifest.origin === undefined ? {} : { origin: manifest.origin }),
    volumes: manifest.volumes.map((volume) => ({
      name: volume.name,
      scope: volume.scope,
      archiveSha256: volume.sha256,
      archiveBytes: volume.archiveBytes,
      contentBytes: volume.counts.contentBytes,
      entries: volume.counts.entries,
      skipped: volume.skippedCount,
    })),
  };
}
