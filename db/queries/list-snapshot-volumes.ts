import { asc } from 'drizzle-orm';
import { isAnyOf } from '../any-of.ts';
import type { Queryable } from '../client.ts';
import { snapshotVolumes } from '../schema/snapshot-volumes.ts';

export type SnapshotVolumeRow = typeof snapshotVolumes.$inferSelect;

export async function listSnapshotVolumes(db: Queryable, snapshotIds: readonly string[]): Promise<SnapshotVolumeRow[]> {
  if (snapshotIds.length === 0) return [];
  return db
    .select()
    .from(snapshotVolumes)
    .where(isAnyOf(snapshotVolumes.snapshotId, snapshotIds))
    .orderBy(asc(snapshotVolumes.name));
}
