/**
 * Reads a snapshot's manifest and looks at its archives' sizes, before anything is done on the strength of it.
 *
 * Guarantees: what is returned has the digest that the caller gave, is valid, and every archive is a regular file of the
 * size that the manifest says.
 * Does not guarantee: the archives' contents; extracting and verifying check their digests.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RefloatError } from '../../db/errors.ts';
import { MANIFEST, MAX_MANIFEST_BYTES, type Manifest, sha256Of } from './manifest.ts';
import type { SnapshotStore } from './store.ts';

export interface ReadSnapshot {
  /** The snapshot's directory. */
  readonly path: string;
  readonly manifest: Manifest;
  readonly manifestSha256: string;
}

/**
 * Reads a snapshot of the store, as the database knows it, for a workload whose snapshot it says itself that it is: whoever
 * owns the database can say otherwise.
 * @throws RefloatError `MANIFEST_MISSING`, `MANIFEST_CHANGED`, `MANIFEST_INVALID`, `ARCHIVE_MISSING`, `ARCHIVE_CHANGED`, `SNAPSHOT_NOT_FOUND`
 */
export function readManifestOf(
  store: SnapshotStore,
  snapshot: { readonly id: string; readonly manifestSha256: string },
  workloadId: string,
): Manifest {
  return readSnapshotOf(store, snapshot, workloadId).manifest;
}

/** As `readManifestOf`, with the snapshot's directory. */
export function readSnapshotOf(
  store: SnapshotStore,
  snapshot: { readonly id: string; readonly manifestSha256: string },
  workloadId: string,
): ReadSnapshot {
  const read = readSnapshot(store, snapshot);
  if (read.manifest.workload.id.toLowerCase() === workloadId) return read;
  throw new RefloatError(
    'SNAPSHOT_NOT_FOUND',
    `the snapshot ${snapshot.id} is another workload's, by its own manifest`,
    {
      hint: "List the workload's own snapshots.",
      details: { snapshotId: snapshot.id },
    },
  );
}

/** Whose snapshot it says it is; null when there is none, or nobody can tell. */
export function snapshotOwner(store: SnapshotStore, id: string): string | null {
  const path = join(store.directoryOf(id), 'manifest.json');
  try {
    return parseManifest(readManifestBytes(path), path).workload.id.toLowerCase();
  } catch {
    return null;
  }
}

function readSnapshot(
  store: SnapshotStore,
  snapshot: { readonly id: string; readonly manifestSha256: string },
): ReadSnapshot {
  const read = readSnapshotDirectory(store.directoryOf(snapshot.id), snapshot.manifestSha256);
  if (read.manifest.id !== snapshot.id) {
    throw new RefloatError(
      'MANIFEST_CHANGED',
      `the manifest of snapshot ${snapshot.id} is that of ${read.manifest.id}`,
      {
        hint: 'Two snapshot directories were exchanged by hand. Put them back under their own ids.',
        details: { snapshotId: snapshot.id },
      },
    );
  }
  return read;
}

/**
 * Reads any snapshot directory. Without `manifestSha256` nobody vouches for the manifest.
 * @throws RefloatError as `readManifestOf`, but for the workload
 */
export function readSnapshotDirectory(path: string, manifestSha256?: string): ReadSnapshot {
  const bytes = readManifestBytes(join(path, 'manifest.json'));
  const found = sha256Of(bytes);
  if (manifestSha256 !== undefined && found !== manifestSha256) {
    throw new RefloatError(
      'MANIFEST_CHANGED',
      `${path}/manifest.json has the digest ${found}, and was published with ${manifestSha256}`,
      {
        hint: 'Somebody or something changed the snapshot after it was made. Restore another one, or put the original files back.',
        details: { path },
      },
    );
  }
  const manifest = parseManifest(bytes, path);
  for (const volume of manifest.volumes) checkArchive(join(path, volume.archive), volume.name, volume.archiveBytes);
  return { path, manifest, manifestSha256: found };
}

function readManifestBytes(path: string): Buffer {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    throw new RefloatError('MANIFEST_MISSING', `there is no ${path}`, {
      hint: 'The snapshot is not on this host any more. Choose another one.',
      details: { path },
      cause,
    });
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > MAX_MANIFEST_BYTES)
      throw invalid(path, `is no file of at most ${MAX_MANIFEST_BYTES} bytes`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

function parseManifest(bytes: Buffer, path: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw invalid(path, 'is not JSON');
  }
  const parsed = MANIFEST.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw invalid(path, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'does not match'}`);
}

function checkArchive(path: string, volume: string, archiveBytes: number): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile()) {
    throw new RefloatError('ARCHIVE_MISSING', `the archive ${path} of volume "${volume}" is missing`, {
      hint: 'The snapshot is damaged. Restore another one, or put the file back.',
      details: { volume, path },
    });
  }
  if (stat.size !== archiveBytes) {
    throw new RefloatError(
      'ARCHIVE_CHANGED',
      `the archive ${path} of volume "${volume}" has ${stat.size} bytes, the manifest says ${archiveBytes}`,
      {
        hint: 'The snapshot is damaged. Restore another one, or put the original file back.',
        details: { volume, path },
      },
    );
  }
}

function invalid(path: string, what: string): RefloatError {
  return new RefloatError('MANIFEST_INVALID', `the manifest of ${path} cannot be used: it ${what}`, {
    hint: 'The snapshot was made by a newer version, or is damaged.',
    details: { path },
  });
}
