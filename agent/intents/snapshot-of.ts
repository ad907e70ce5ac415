/** The snapshot that an intent is about. */
import { RefloatError } from '../../db/errors.ts';
import type { ClaimedIntent, SnapshotRef } from './claimed-intent.ts';

/** @throws RefloatError `SNAPSHOT_NOT_FOUND` when it names none, a deleted one, or another workload's */
export function snapshotOf(intent: ClaimedIntent): SnapshotRef {
  const { snapshot, workload } = intent;
  if (snapshot !== null && snapshot.workloadId === workload.id) return snapshot;
  throw new RefloatError('SNAPSHOT_NOT_FOUND', 'the snapshot is deleted, or is not one of this workload', {
    hint: "List the workload's snapshots and choose one.",
    ...(snapshot === null ? {} : { details: { snapshotId: snapshot.id } }),
  });
}
