/**
 * One intent from its claim to its outcome: every kind but a plan under the lock of its workload.
 *
 * Guarantees: never throws; every kind ends in an outcome that can be spooled. Restores, undos and captures have a journal;
 * the other kinds leave nothing behind when they are interrupted, and may be run again.
 */
import { toRefloatError } from '../../db/errors.ts';
import type { Outcome } from '../../db/results.ts';
import { runCapture } from '../capture/capture.ts';
import type { HeldControl } from '../claim/held-control.ts';
import type { WorkloadLock } from '../deploy/workload-lock.ts';
import type { AgentDeps } from '../deps.ts';
import { planRestore } from '../restore/plan-report.ts';
import { runRestore } from '../restore/restore.ts';
import { warnOfWait } from '../restore/sharing.ts';
import type { ClaimedIntent } from './claimed-intent.ts';
import { deleteIntent } from './delete.ts';
import { deployIntent } from './deploy.ts';
import { importIntent } from './import.ts';
import { verifyIntent } from './verify.ts';

/** Runs an intent that this agent holds. */
export async function runIntent(deps: AgentDeps, intent: ClaimedIntent, control: HeldControl): Promise<Outcome> {
  try {
    if (intent.kind === 'plan') return await planIntent(deps, intent, control);
    const work = async (lock: WorkloadLock) => {
      await control.started();
      control.signal.throwIfAborted();
      return await dispatch(deps, lock, intent, control);
    };
    return await deps.locks.withWorkloadLock(intent.workload.id, work, {
      name: intent.workload.config.name,
      touches: intent.kind !== 'verify' && intent.kind !== 'import',
      signal: control.signal,
      onWait: (names) => warnOfWait(names, (message) => control.emit('warning', { message })),
    });
  } catch (thrown) {
    return failure(thrown);
  }
}

async function dispatch(
  deps: AgentDeps,
  lock: WorkloadLock,
  intent: ClaimedIntent,
  control: HeldControl,
): Promise<Outcome> {
  switch (intent.kind) {
    case 'restore':
    case 'undo':
      return runRestore(deps, lock, intent, control);
    case 'capture':
      return runCapture(deps, lock, intent, control);
    case 'deploy':
      return deployIntent(deps, lock, intent, control);
    case 'plan':
      throw new Error('a plan takes no lock');
    case 'verify':
      return verifyIntent(deps, intent, control);
    case 'delete':
      return deleteIntent(deps, intent, control);
    case 'import':
      return importIntent(deps, intent, control);
    default:
      return intent.kind satisfies never;
  }
}

/** Without the workload's lock: it changes nothing, and what does must not wait for it. */
async function planIntent(deps: AgentDeps, intent: ClaimedIntent, control: HeldControl): Promise<Outcome> {
  await control.started();
  control.signal.throwIfAborted();
  return { state: 'succeeded', error: null, result: { plan: await planRestore(deps, intent, control.signal) } };
}

/** What an intent without a journal came to when it threw. */
export function failure(thrown: unknown): Outcome {
  const error = toRefloatError(thrown);
  const state = error.code === 'CANCELLED' ? 'cancelled' : error.disposition === 'stuck' ? 'stuck' : 'failed';
  return { state, result: null, error: error.toJSON() };
}
