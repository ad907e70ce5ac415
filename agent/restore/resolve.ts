/**
 * A person has looked at what recovery could not decide, put the data where it belongs, and says: keep what is there.
 *
 * Guarantees: touches no data, neither live nor staged nor previous, and no undo window that ends later touches it either; brings the
 * containers of before back with their restart policies; the intent ends as failed, and its workload takes new ones. A pre-restore
 * snapshot that it had made stays. A journal that cannot be read is put aside, not deleted.
 */
import { readFileSync } from 'node:fs';
import { RefloatError } from '../../db/errors.ts';
import type { HeldTree, IntentResult, Outcome } from '../../db/results.ts';
import { CAPTURE } from '../capture/capture.ts';
import type { IntentControl } from '../claim/intent-control.ts';
import type { AgentDeps } from '../deps.ts';
import { identify, renameDurably } from '../fs/durable.ts';
import { snapshotStore } from '../snapshots/store.ts';
import type { Target } from './facts.ts';
import { markReleased } from './hold.ts';
import { Journal } from './journal.ts';
import { isUnfinished, journalPath, readJournal } from './journal-dir.ts';
import type { JournalState } from './journal-state.ts';
import { RESTORE } from './restore.ts';
import { type SagaRun, unwind } from './run-saga.ts';
import type { Saga } from './saga.ts';

export interface Resolved {
  readonly outcome: Outcome;
  /** Trees that nobody needs any more, and that nobody removes. */
  readonly left: readonly HeldTree[];
  /** Where a journal that cannot be read was put; null for one that could. */
  readonly journal: string | null;
}

/** @throws RefloatError `INTENT_NOT_FOUND`, `ALREADY_FINISHED` */
export async function keepWhatIsThere(deps: AgentDeps, intentId: string, control: IntentControl): Promise<Resolved> {
  const { path, state, damage } = readJournal(deps.config.stateDir, intentId);
  if (damage !== null) return putAside(path);
  if (state === null) throw notFound(intentId);
  if (!isUnfinished(state)) throw finished(intentId);
  const { kind, workload } = state.intent;
  const journal = Journal.open(journalPath(deps.config.stateDir, intentId), intentId, deps.now);
  try {
    const outcome = await deps.locks.withWorkloadLock(workload.id, async (lock) => {
      const tools = { deps, lock, control, journal };
      return kind === 'capture'
        ? endKeeping({ saga: CAPTURE, ...tools }, state)
        : endKeeping({ saga: RESTORE, ...tools }, state);
    });
    return { outcome, left: leftBehind(state), journal: null };
  } finally {
    journal.close();
  }
}

/** Backwards through what was begun, without the steps that would move or remove data. */
async function endKeeping<Facts>(run: SagaRun<Facts>, state: JournalState): Promise<Outcome> {
  const error = resolved();
  run.journal.append({ type: 'unwind', state: 'failed', error: error.toJSON() });
  for (const step of dataSteps(run.saga)) run.journal.append({ type: 'undone', step });
  releaseUndone(run.deps, state);
  return unwind(run, error, undefined, keptSnapshot(run.deps, state));
}

/** The trees that an undo was to bring back are the person's now, whatever lies at their paths: nothing may end them. */
function releaseUndone(deps: AgentDeps, { intent, facts }: JournalState): void {
  const { adoptedFrom } = (facts.get('preflight') ?? {}) as { readonly adoptedFrom?: string | null };
  if (adoptedFrom == null || readJournal(deps.config.stateDir, adoptedFrom).state === null) return;
  markReleased(deps, adoptedFrom, 'resolved', intent.id);
}

/** A pre-restore snapshot that was made before it was stuck stays, and is named. */
function keptSnapshot({ config }: AgentDeps, { facts }: JournalState): IntentResult {
  const id = facts.get('preRestoreSnapshotId');
  if (typeof id !== 'string') return {};
  const path = snapshotStore(config.stateDir).directoryOf(id);
  return identify(path) === null ? {} : { preRestoreSnapshotId: id, preRestoreSnapshotPath: path };
}

function dataSteps<Facts>(saga: Saga<Facts>): string[] {
  return saga.steps.filter((step) => step.undoMoves === 'data').map((step) => step.name);
}

function leftBehind(state: JournalState): HeldTree[] {
  const preflight = state.facts.get('preflight') as { targets?: readonly Target[] } | undefined;
  return (preflight?.targets ?? [])
    .filter(({ staging }) => identify(staging) !== null)
    .map(({ volume, live, staging }) => ({ volume, live, previous: staging }));
}

function putAside(path: string): Resolved {
  // Read once more before it is moved: a disk that has mended itself has a journal to recover.
  readFileSync(path);
  const journal = `${path}.unreadable`;
  renameDurably(path, journal);
  return { outcome: { state: 'failed', result: null, error: resolved().toJSON() }, left: [], journal };
}

function resolved(): RefloatError {
  return new RefloatError('RESOLVED', 'a person looked at what could not be decided, and kept what was there', {
    hint: 'Look at the data of the workload and at its containers; start it again if you still want it.',
    disposition: 'fail',
  });
}

function notFound(intentId: string): RefloatError {
  return new RefloatError('INTENT_NOT_FOUND', `this host has no journal of the intent ${intentId}`, {
    hint: '"refloat-agent status" lists them.',
  });
}

function finished(intentId: string): RefloatError {
  return new RefloatError('ALREADY_FINISHED', `the intent ${intentId} came to its end by itself`, {
    hint: 'There is nothing to decide.',
  });
}
