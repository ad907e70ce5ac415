/** Verify: a snapshot of this host read back whole, writing nothing. */
import type { Outcome } from '../../db/results.ts';
import type { IntentControl } from '../claim/intent-control.ts';
import type { AgentDeps } from '../deps.ts';
import { policyOf } from '../snapshots/manifest.ts';
import { readSnapshotOf } from '../snapshots/read-manifest.ts';
import { snapshotStore } from '../snapshots/store.ts';
import { verifySnapshot } from '../snapshots/verify-snapshot.ts';
import { asStep } from './as-step.ts';
import type { ClaimedIntent } from './claimed-intent.ts';
import { snapshotOf } from './snapshot-of.ts';

/** @throws RefloatError those of `readManifestOf` and `verifySnapshot` */
export async function verifyIntent(deps: AgentDeps, intent: ClaimedIntent, control: IntentControl): Promise<Outcome> {
  const ref = snapshotOf(intent);
  const { value, ms } = await asStep(control, 'verify', async () => {
    const snapshot = readSnapshotOf(snapshotStore(deps.config.stateDir), ref, intent.workload.id);
    const bytesTotal = snapshot.manifest.volumes.reduce((sum, volume) => sum + volume.counts.contentBytes, 0);
    const policy = policyOf(snapshot.manifest);
    const verified = await verifySnapshot(deps.archiver, snapshot, policy, control.signal, (bytesDone, entriesDone) =>
      control.progress({ bytesDone, bytesTotal: Math.max(bytesTotal, bytesDone), entriesDone }),
    );
    return { ...verified, path: snapshot.path };
  });
  const { bytes, entries, archiveBytes, path } = value;
  return {
    state: 'succeeded',
    error: null,
    result: { snapshotId: ref.id, snapshotPath: path, bytes, entries, archiveBytes, steps: [{ name: 'verify', ms }] },
  };
}
