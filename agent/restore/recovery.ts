/**
 * Recovery: what the agent does with unfinished journals, before it claims anything and before any deploy.
 * Works without the control plane; needs the engine only for intents that had begun to stop containers.
 */

import type { ErrorJson } from '../../db/errors.ts';
import { toRefloatError } from '../../db/errors.ts';
import type { IntentKind } from '../../db/intent-state.ts';
import type { Outcome } from '../../db/results.ts';
import { CAPTURE } from '../capture/capture.ts';
import type { IntentControl } from '../claim/intent-control.ts';
import type { WorkloadLock } from '../deploy/workload-lock.ts';
import type { AgentDeps } from '../deps.ts';
import { isUnfinished, readJournals, removeJournal } from './journal-dir.ts';
import { recoverSaga } from './recover-saga.ts';
import { RESTORE } from './restore.ts';
import type { RunTools } from './run-journaled.ts';

export interface Recovered {
  readonly intentId: string;
  readonly kind: IntentKind | null;
  readonly workload: string | null;
  /** Null when the journal could not be read or written. */
  readonly outcome: Outcome | null;
  readonly error: ErrorJson | null;
}

/**
 * Recovers every unfinished intent, oldest first.
 * @param controlFor where the progress and the outcome of an intent are reported (spooled while Postgres is away)
 */
export async function recover(deps: AgentDeps, controlFor: (intentId: string) => IntentControl): Promise<Recovered[]> {
  const recovered: Recovered[] = [];
  for (const { intentId, state, damage } of readJournals(deps.config.stateDir)) {
    if (damage !== null) {
      recovered.push({ intentId, kind: null, workload: null, outcome: null, error: damage.toJSON() });
      continue;
    }
    if (state === null) {
      // Its first record never became durable, so nothing was done under it.
      removeJournal(deps.config.stateDir, intentId);
      continue;
    }
    if (!isUnfinished(state)) continue;
    const { kind, workload } = state.intent;
    deps.log.info({ intentId, kind, workload: workload.config.name }, 'recovering');
    const named = { intentId, kind, workload: workload.config.name };
    try {
      const work = (lock: WorkloadLock) => recoverKind(kind, { deps, lock, control: controlFor(intentId) }, intentId);
      const outcome = await deps.locks.withWorkloadLock(workload.id, work, { name: workload.config.name });
      recovered.push({ ...named, outcome, error: null });
    } catch (thrown) {
      recovered.push({ ...named, outcome: null, error: toRefloatError(thrown).toJSON() });
    }
  }
  return recovered;
}

async function recoverKind(kind: IntentKind, tools: RunTools, intentId: string): Promise<Outcome> {
  switch (kind) {
    case 'restore':
    case 'undo':
      return recoverSaga(RESTORE, tools, intentId);
    case 'capture':
      return recoverSaga(CAPTURE, tools, intentId);
    case 'deploy':
    case 'plan':
    case 'verify':
    case 'delete':
    case 'import':
      throw new Error(`intents of kind ${kind} have no journal`);
    default:
      return kind satisfies never;
  }
}
