import { and, desc, eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { snapshots } from '../schema/snapshots.ts';
import type { SnapshotRow } from './find-snapshot.ts';

/** The snapshots of a workload that are there, newest first. */
export async function listSnapshots(db: Queryable, workloadId: string, limit: number): Promise<SnapshotRow[]> {
  return db
    .select()
    .from(snapshots)
    .where(and(eq(snapshots.workloadId, workloadId), eq(snapshots.state, 'complete')))
    .orderBy(desc(snapshots.capturedAt), desc(snapshots.id))
    .limit(limit);
}
