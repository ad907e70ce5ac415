/**
 * A restore, and its undo, on one screen. Each line is a step with a file of its own in steps/; README.md beside this file
 * has the guarantees, the disk at every step, and the recovery table.
 *
 * An undo is a restore whose new trees are there already: the ones that the undone intent holds.
 */
import type { Outcome } from '../../db/results.ts';
import type { IntentControl } from '../claim/intent-control.ts';
import type { WorkloadLock } from '../deploy/workload-lock.ts';
import type { AgentDeps } from '../deps.ts';
import type { ClaimedIntent } from '../intents/claimed-intent.ts';
import type { RestoreFacts } from './facts.ts';
import { runJournaled } from './run-journaled.ts';
import type { Saga } from './saga.ts';
import { retake } from './sharing.ts';
import { checkDisk } from './steps/check-disk.ts';
import { cleanup } from './steps/cleanup.ts';
import { health } from './steps/health.ts';
import { preflight } from './steps/preflight.ts';
import { preserve } from './steps/preserve.ts';
import { quiesce } from './steps/quiesce.ts';
import { redeploy } from './steps/redeploy.ts';
import { stage } from './steps/stage.ts';
import { swap } from './steps/swap.ts';

export const RESTORE: Saga<RestoreFacts> = {
  steps: [
    preflight, //  every check, no side effect
    checkDisk, //  bytes and inodes per file system
    stage, //      new trees beside the live ones, durable        undo: remove them
    quiesce, //    record, policy `no`, stop          DOWNTIME    undo: policies back, start what ran
    swap, //       COMMIT POINT, exchange by rename       |       undo: exchange back
    redeploy, //   same containers, same image        UP AGAIN    undo: stop them
    health, //     or take it all back
    preserve, //   previous trees become a verified snapshot
    cleanup, //    previous trees held for the undo window
  ],
  retake,
  result({ fact, factOrNull }) {
    const preserved = factOrNull('preserve');
    const staged = fact('stage');
    const kept = factOrNull('cleanup');
    return {
      downtimeMs: fact('redeploy').downtimeMs,
      image: fact('preflight').image,
      imageId: fact('preflight').imageId,
      containers: fact('redeploy').containers,
      recreated: fact('redeploy').recreated,
      restored: staged.restored,
      skipped: staged.skipped,
      fidelity: staged.fidelity,
      preRestoreSnapshotId: preserved?.snapshotId,
      preRestoreSnapshotPath: preserved?.path,
      undoUntil: kept?.undoUntil,
      held: kept?.held,
    };
  },
};

/** Runs a restore or undo to its outcome; never throws for what the saga can take back or record. */
export async function runRestore(
  deps: AgentDeps,
  lock: WorkloadLock,
  intent: ClaimedIntent,
  control: IntentControl,
): Promise<Outcome> {
  return runJournaled(RESTORE, { deps, lock, control }, intent);
}
