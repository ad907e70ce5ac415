/** Reads a whole snapshot back: digests, counts and structure of every archive, with the parser that a restore uses. */
import { join } from 'node:path';
import type { Archiver, Policy } from '../archive/types.ts';
import { limitsOf } from './limits.ts';
import type { ReadSnapshot } from './read-manifest.ts';

export interface VerifiedSnapshot {
  readonly bytes: number;
  readonly entries: number;
  readonly archiveBytes: number;
  readonly volumes: number;
}

/**
 * @param policy `faithful` when the manifest's digest was checked, else `strict`
 * @throws RefloatError `ARCHIVE_MISSING`, `ARCHIVE_CHANGED`, `ARCHIVE_TRUNCATED`, `ARCHIVE_CORRUPT`, `ARCHIVE_REFUSED`, `ARCHIVE_LIMIT`
 */
export async function verifySnapshot(
  archiver: Pick<Archiver, 'verify'>,
  snapshot: ReadSnapshot,
  policy: Policy,
  signal?: AbortSignal,
  onProgress?: (bytesDone: number, entriesDone: number) => void,
): Promise<VerifiedSnapshot> {
  let bytes = 0;
  let entries = 0;
  let archiveBytes = 0;
  for (const volume of snapshot.manifest.volumes) {
    const before = { bytes, entries };
    const summary = await archiver.verify({
      archive: join(snapshot.path, volume.archive),
      policy,
      limits: limitsOf(volume),
      expected: { sha256: volume.sha256, archiveBytes: volume.archiveBytes, counts: volume.counts },
      ...(signal === undefined ? {} : { signal }),
      ...(onProgress === undefined
        ? {}
        : { onProgress: (done: number, count: number) => onProgress(before.bytes + done, before.entries + count) }),
    });
    bytes += summary.contentBytes;
    entries += summary.entries;
    archiveBytes += summary.archiveBytes;
  }
  return { bytes, entries, archiveBytes, volumes: snapshot.manifest.volumes.length };
}
