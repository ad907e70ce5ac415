import { and, eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { snapshots } from '../schema/snapshots.ts';

export type SnapshotRow = typeof snapshots.$inferSelect;

/** A snapshot of this workload, deleted or not; null if there is none, or it is another workload's. */
export async function findSnapshot(db: Queryable, workloadId: string, id: string): Promise<SnapshotRow | null> {
  const rows = await db
    .select()
    .from(snapshots)
    .where(and(eq(snapshots.id, id), eq(snapshots.workloadId, workloadId)));
  return rows[0] ?? null;
}
