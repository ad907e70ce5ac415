/** Begins a saga with a journal of its own, or returns what an earlier claim of the same intent came to. */
import { toRefloatError } from '../../db/errors.ts';
import type { Outcome } from '../../db/results.ts';
import type { IntentControl } from '../claim/intent-control.ts';
import type { WorkloadLock } from '../deploy/workload-lock.ts';
import type { AgentDeps } from '../deps.ts';
import type { ClaimedIntent } from '../intents/claimed-intent.ts';
import { Journal } from './journal.ts';
import { ensureJournalDirectory, journalPath, readJournal } from './journal-dir.ts';
import { recoverSaga } from './recover-saga.ts';
import { rollForward } from './run-saga.ts';
import type { Saga } from './saga.ts';

export interface RunTools {
  readonly deps: AgentDeps;
  readonly lock: WorkloadLock;
  readonly control: IntentControl;
}

/**
 * Runs the saga of an intent. An intent whose journal has an outcome already gets that one again: a claim that a failover
 * of Postgres forgot must not run twice. An unfinished journal is recovered.
 */
export async function runJournaled<Facts>(saga: Saga<Facts>, tools: RunTools, intent: ClaimedIntent): Promise<Outcome> {
  const { deps, lock } = tools;
  lock.assertHeld(intent.workload.id);
  ensureJournalDirectory(deps.config.stateDir);
  const path = journalPath(deps.config.stateDir, intent.id);
  const known = readJournal(deps.config.stateDir, intent.id);
  if (known.damage !== null) throw known.damage;
  if (known.state !== null) return known.state.outcome ?? recoverSaga(saga, tools, intent.id);
  const journal = Journal.create(path, intent, deps.now);
  try {
    return await rollForward({ saga, journal, ...tools });
  } catch (thrown) {
    // The journal itself could not be written. What is on the disk decides, read again from there.
    deps.log.error(
      { intentId: intent.id, error: toRefloatError(thrown).toJSON() },
      'the journal failed; recovering from the disk',
    );
    journal.close();
    return await recoverSaga(saga, tools, intent.id);
  } finally {
    journal.close();
  }
}
