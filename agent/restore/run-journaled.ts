/** Begins a saga with a journal of its own, or returns what an earlier claim of the same intent came to. */
import { type RefloatError, toRefloatError } from '../../db/errors.ts';
import type { Outcome } from '../../db/results.ts';
import type { IntentControl } from '../claim/intent-control.ts';
import type { WorkloadLock } from '../deploy/workload-lock.ts';
import type { AgentDeps } from '../deps.ts';
import type { ClaimedIntent } from '../intents/claimed-intent.ts';
import { Journal } from './journal.ts';
import { ensureJournalDirectory, journalPath, readJournal } from './journal-dir.ts';
import { type JournalState, reduceJournal } from './journal-state.ts';
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
  if (known.state !== null) return known.state.outcome ?? recoverOrStuck(saga, tools, intent.id, known.state);
  let journal: Journal | null = null;
  try {
    journal = Journal.create(path, intent, deps.now);
    return await rollForward({ saga, journal, ...tools });
  } catch (thrown) {
    // The journal itself could not be written. What is on the disk decides, read again from there.
    const error = toRefloatError(thrown);
    deps.log.error({ intentId: intent.id, error: error.toJSON() }, 'the journal failed; recovering from the disk');
    journal?.close();
    const { state, damage } = readJournal(deps.config.stateDir, intent.id);
    const known = journal === null ? state : reduceJournal(journal.records);
    // Without a first record nothing was done.
    if (known === null && damage === null) throw error;
    return await recoverOrStuck(saga, tools, intent.id, known, error);
  } finally {
    journal?.close();
  }
}

/**
 * An intent whose journal takes no more records is not over: any other outcome might be a lie, since a later recovery decides by
 * what is on the disk. So it is `stuck` until that says what became of it.
 * @param known what this process knows of its journal
 */
async function recoverOrStuck<Facts>(
  saga: Saga<Facts>,
  tools: RunTools,
  intentId: string,
  known: JournalState | null,
  reason?: RefloatError,
): Promise<Outcome> {
  try {
    return await recoverSaga(saga, tools, intentId, reason, known);
  } catch (thrown) {
    const { deps } = tools;
    const error = toRefloatError(thrown);
    deps.log.error({ intentId, error: error.toJSON() }, 'the journal still fails');
    return { state: 'stuck', result: null, error: { ...error.toJSON(), disposition: 'stuck' } };
  }
}
