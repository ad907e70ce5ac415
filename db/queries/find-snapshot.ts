import { and, eq, sql } from 'drizzle-orm';
import { builtOnce, type Queryable } from '../client.ts';
import { snapshots } from '../schema/snapshots.ts';

export type SnapshotRow = typeof snapshots.$inferSelect;

const query = builtOnce((db) =>
  db
    .select()
    .from(snapshots)
    .where(and(eq(snapshots.id, sql.placeholder('id')), eq(snapshots.workloadId, sql.placeholder('workloadId'))))
    .prepare('find_snapshot'),
);

/** A snapshot of this workload, deleted or not; null if there is none, or it is another workload's. */
export async function findSnapshot(db: Queryable, workloadId: string, id: string): Promise<SnapshotRow | null> {
  const rows = await query(db).execute({ id, workloadId });
  return rows[0] ?? null;
}
