import { and, desc, eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { behind, momentKey, type Seek } from '../page.ts';
import { snapshots } from '../schema/snapshots.ts';
import type { SnapshotRow } from './find-snapshot.ts';

/** The snapshots of a workload that are there, newest first. `key` is the sort key. */
export async function listSnapshots(
  db: Queryable,
  workloadId: string,
  seek: Seek,
): Promise<{ snapshot: SnapshotRow; key: string }[]> {
  return db
    .select({ snapshot: snapshots, key: momentKey(snapshots.capturedAt) })
    .from(snapshots)
    .where(
      and(
        eq(snapshots.workloadId, workloadId),
        eq(snapshots.state, 'complete'),
        behind('descending', snapshots.capturedAt, snapshots.id, seek),
      ),
    )
    .orderBy(desc(snapshots.capturedAt), desc(snapshots.id))
    .limit(seek.limit);
}
