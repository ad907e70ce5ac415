/**
 * Delete: a snapshot's files go from this host. The files first: a crash in between leaves a row without files, which a
 * restore refuses, and never files that nobody knows of.
 */
import { RefloatError } from '../../db/errors.ts';
import type { Outcome } from '../../db/results.ts';
import type { SpooledControl } from '../claim/spooled-control.ts';
import type { AgentDeps } from '../deps.ts';
import { assertNothingUnfinished, readJournals } from '../restore/journal-dir.ts';
import { releaseBeforeSnapshot } from '../restore/release.ts';
import { deleteSnapshot } from '../snapshots/delete-snapshot.ts';
import { snapshotOwner } from '../snapshots/read-manifest.ts';
import { type SnapshotStore, snapshotStore } from '../snapshots/store.ts';
import { asStep } from './as-step.ts';
import type { ClaimedIntent } from './claimed-intent.ts';
import { snapshotOf } from './snapshot-of.ts';

/** @throws RefloatError `SNAPSHOT_PROTECTED`, `SNAPSHOT_NOT_FOUND` (also when its manifest names another workload), `WORKLOAD_STUCK` (recovery may still need the snapshot) */
export async function deleteIntent(deps: AgentDeps, intent: ClaimedIntent, control: SpooledControl): Promise<Outcome> {
  assertNothingUnfinished(deps.config.stateDir, intent.workload.id, intent.id);
  const snapshot = snapshotOf(intent);
  const store = snapshotStore(deps.config.stateDir);
  requireOwnSnapshot(store, snapshot.id, intent.workload.id);
  const until = [snapshot.protectedUntil ?? null, protectedByJournal(deps.config.stateDir, snapshot.id)].find(
    (time) => time !== null && Date.parse(time) > deps.now().getTime(),
  );
  if (until !== undefined) {
    throw new RefloatError('SNAPSHOT_PROTECTED', `the snapshot is the last copy of a previous state until ${until}`, {
      hint: 'Wait until the undo window of the restore that made it is over.',
      details: { snapshotId: snapshot.id, protectedUntil: until },
    });
  }
  const { ms } = await asStep(control, 'delete', async () => {
    // Without its snapshot a previous tree would be the last copy, and stay for good.
    await releaseBeforeSnapshot(deps, snapshot.id);
    await deleteSnapshot(store, snapshot.id);
  });
  control.snapshotDeleted(snapshot.id);
  return { state: 'succeeded', error: null, result: { snapshotId: snapshot.id, steps: [{ name: 'delete', ms }] } };
}

/** What is there and says whose it is must be this workload's; what cannot be read any more may go. */
function requireOwnSnapshot(store: SnapshotStore, id: string, workloadId: string): void {
  const owner = snapshotOwner(store, id);
  if (owner === null || owner === workloadId) return;
  throw new RefloatError('SNAPSHOT_NOT_FOUND', `the snapshot ${id} is another workload's, by its own manifest`, {
    hint: "List the workload's own snapshots.",
    details: { snapshotId: id },
  });
}

/** This host's own word for how long a pre-restore snapshot is the last copy of a previous state. */
function protectedByJournal(stateDir: string, snapshotId: string): string | null {
  const results = readJournals(stateDir).map(({ state }) => state?.outcome?.result);
  return results.find((result) => result?.preRestoreSnapshotId === snapshotId)?.undoUntil ?? null;
}
