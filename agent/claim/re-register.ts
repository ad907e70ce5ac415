/** Spools the registration of the snapshots that an intent made, from what lies on this host. */
import { toRefloatError } from '../../db/errors.ts';
import type { Outcome, SnapshotRecord } from '../../db/results.ts';
import type { AgentDeps } from '../deps.ts';
import type { ClaimedIntent } from '../intents/claimed-intent.ts';
import { recordOf } from '../snapshots/create-snapshot.ts';
import { readSnapshotDirectory } from '../snapshots/read-manifest.ts';
import { snapshotStore } from '../snapshots/store.ts';
import type { Spool } from './spool.ts';

export function reRegister(deps: AgentDeps, intent: ClaimedIntent, outcome: Outcome, spool: Spool): void {
  const made: { id: string | undefined; protectedUntil: string | null }[] = [
    { id: intent.kind === 'capture' ? outcome.result?.snapshotId : undefined, protectedUntil: null },
    { id: outcome.result?.preRestoreSnapshotId, protectedUntil: outcome.result?.undoUntil ?? null },
  ];
  for (const { id, protectedUntil } of made) {
    if (id === undefined) continue;
    try {
      const { manifest, manifestSha256 } = readSnapshotDirectory(snapshotStore(deps.config.stateDir).directoryOf(id));
      const snapshot: SnapshotRecord = recordOf(manifest, manifestSha256, protectedUntil);
      spool.append({ type: 'snapshot', snapshot });
    } catch (thrown) {
      deps.log.warn(
        { snapshotId: id, error: toRefloatError(thrown).toJSON() },
        'a snapshot that was made is not there any more',
      );
    }
  }
}
