/**
 * Delete: a snapshot's files go from this host. The files first: a crash in between leaves a row without files, which a
 * restore refuses, and never files that nobody knows of.
 */
import { RefloatError } from '../../db/errors.ts';
import type { Outcome } from '../../db/results.ts';
import type { SpooledControl } from '../claim/spooled-control.ts';
import type { AgentDeps } from '../deps.ts';
import { assertNothingUnfinished } from '../restore/journal-dir.ts';
import { deleteSnapshot } from '../snapshots/delete-snapshot.ts';
import { snapshotStore } from '../snapshots/store.ts';
import { asStep } from './as-step.ts';
import type { ClaimedIntent } from './claimed-intent.ts';
import { snapshotOf } from './snapshot-of.ts';

/** @throws RefloatError `SNAPSHOT_PROTECTED`, `SNAPSHOT_NOT_FOUND`, `WORKLOAD_STUCK` (recovery may still need the snapshot) */
export async function deleteIntent(deps: AgentDeps, intent: ClaimedIntent, control: SpooledControl): Promise<Outcome> {
  assertNothingUnfinished(deps.config.stateDir, intent.workload.id, intent.id);
  const snapshot = snapshotOf(intent);
  const until = snapshot.protectedUntil ?? null;
  if (until !== null && Date.parse(until) > deps.now().getTime()) {
    throw new RefloatError('SNAPSHOT_PROTECTED', `the snapshot is the last copy of a previous state until ${until}`, {
      hint: 'Wait until the undo window of the restore that made it is over.',
      details: { snapshotId: snapshot.id, protectedUntil: until },
    });
  }
  const { ms } = await asStep(control, 'delete', () =>
    deleteSnapshot(snapshotStore(deps.config.stateDir), snapshot.id),
  );
  control.snapshotDeleted(snapshot.id);
  return { state: 'succeeded', error: null, result: { snapshotId: snapshot.id, steps: [{ name: 'delete', ms }] } };
}
