/**
 * Runs a saga under its journal: forwards through the table, or backwards through what was begun.
 *
 * Guarantees: a step's act begins only after its `started` record is durable; before the commit point every failure, cancel
 * and crash ends in the undo of everything that was begun, in reverse; an undo that fails for good ends as `stuck`, and
 * nothing is deleted then. A workload whose data nobody has begun to change runs again before anything else is taken back, also where
 * the journal takes no record.
 */
import { type ErrorJson, type RefloatError, toRefloatError } from '../../db/errors.ts';
import type { IntentResult, Outcome } from '../../db/results.ts';
import type { IntentControl } from '../claim/intent-control.ts';
import type { WorkloadLock } from '../deploy/workload-lock.ts';
import type { AgentDeps } from '../deps.ts';
import { withRetries } from '../with-retries.ts';
import { crashPoint } from './crash-point.ts';
import type { Journal, JournalRecord, Unwound } from './journal.ts';
import { type JournalState, reduceJournal } from './journal-state.ts';
import type { AnyStep, Saga, StepContext } from './saga.ts';

export interface SagaRun<Facts> {
  readonly saga: Saga<Facts>;
  readonly deps: AgentDeps;
  readonly lock: WorkloadLock;
  readonly control: IntentControl;
  readonly journal: Journal;
}

/** How often an undo is tried again, whatever it failed with: the alternative is to wake a person. */
const UNDO_TRIES = 4;

/** Runs every step that has no record of its end; a failure unwinds. Returns the outcome, which is durable by then. */
export async function rollForward<Facts>(run: SagaRun<Facts>): Promise<Outcome> {
  for (const step of run.saga.steps) {
    if (isSettled(stateOf(run), step)) continue;
    const failure = await act(run, step);
    if (failure !== null) return unwind(run, failure.error, failure.step);
  }
  const state = stateOf(run);
  const context = contextOf(run, NEVER);
  return finish(run, {
    state: 'succeeded',
    error: null,
    result: { ...run.saga.result(context), steps: state.timings, warnings: state.warnings },
  });
}

/**
 * Takes back everything that was begun: what lets the workload run, then the rest, newest first. Goes on where an earlier unwinding was
 * interrupted.
 * @param kept what stays all the same, for the result
 */
export async function unwind<Facts>(
  run: SagaRun<Facts>,
  reason: RefloatError,
  step?: string,
  kept: IntentResult = {},
): Promise<Outcome> {
  let state = stateOf(run);
  if (state.unwinding === null) {
    const error = { ...reason.toJSON(), ...(step === undefined ? {} : { step }) };
    append(run, { type: 'unwind', state: unwoundState(run.saga, state, reason), error });
    state = stateOf(run);
  }
  const unwinding = state.unwinding ?? fail('the record "unwind" was just appended');
  const context = contextOf(run, NEVER);
  for (const step of new Set([...resuming(run.saga, state), ...[...run.saga.steps].reverse()])) {
    if (!state.started.includes(step.name) || state.undone.has(step.name) || step.undo === undefined) continue;
    crashPoint(`undo-before:${step.name}`);
    try {
      await undo(step, context);
    } catch (thrown) {
      return stuck(run, step.name, toRefloatError(thrown));
    }
    crashPoint(`undo-after:${step.name}`);
    append(run, { type: 'undone', step: step.name });
    run.control.emit('step', { step: step.name, status: 'undone' });
  }
  // Read again: an undo may have had something to say.
  const { timings, warnings } = stateOf(run);
  return finish(run, {
    state: unwinding.state,
    error: unwinding.error,
    result: { ...kept, steps: timings, warnings },
  });
}

/**
 * Where nothing can be recorded any more: lets the workload run again, if nobody has begun to change its data. Takes back nothing else;
 * a later recovery does all of it once more. Never throws.
 * @param state what is known of the journal, whether or not all of it is on the disk
 */
export async function letRun<Facts>(run: Omit<SagaRun<Facts>, 'journal'>, state: JournalState): Promise<void> {
  const { log } = run.deps;
  const intentId = state.intent.id;
  const nothing = () => fail('nothing can be recorded');
  const unrecorded = { state: () => state, append: nothing, msSinceNote: nothing };
  const context: StepContext<Facts> = {
    ...contextWith(run, NEVER, unrecorded),
    warn: (message) => log.warn({ intentId }, message),
  };
  for (const step of resuming(run.saga, state)) {
    try {
      await undo(step, context);
      log.warn({ intentId, step: step.name }, 'the workload was let run again; that could not be recorded');
    } catch (thrown) {
      log.error({ intentId, error: toRefloatError(thrown).toJSON() }, 'the workload could not be let run again');
    }
  }
}

/** Begun steps whose undo lets the workload run on the data that it had. */
function resuming<Facts>({ steps }: Saga<Facts>, { started, undone }: JournalState): AnyStep<Facts>[] {
  if (steps.some((step) => step.beginsWithCommit === true && started.includes(step.name))) return [];
  return steps.filter(
    ({ name, undoResumes }) => undoResumes !== undefined && started.includes(name) && !undone.has(name),
  );
}

async function undo<Facts>(step: AnyStep<Facts>, context: StepContext<Facts>): Promise<void> {
  await withRetries(async () => step.undo?.(context), NEVER, UNDO_TRIES);
}

/** Records that a person must look. Deletes nothing; a later recovery tries again. */
export function stuck<Facts>(run: SagaRun<Facts>, step: string, error: RefloatError): Outcome {
  const json: ErrorJson & { step: string } = { ...error.toJSON(), disposition: 'stuck', step };
  return finish(run, { state: 'stuck', error: json, result: { steps: stateOf(run).timings } });
}

async function act<Facts>(
  run: SagaRun<Facts>,
  step: AnyStep<Facts>,
): Promise<{ error: RefloatError; step: string } | null> {
  const committed = stateOf(run).committed;
  const began = performance.now();
  const ms = () => Math.round(performance.now() - began);
  try {
    if (!committed) run.control.signal.throwIfAborted();
    begin(run, step);
    run.control.emit('step', { step: step.name, status: 'started' }, isDown(step, 'started'));
    const signal = committed ? NEVER : run.control.signal;
    const fact = await withRetries(() => step.act(contextOf(run, signal)), signal);
    run.journal.appendLater({ type: 'done', step: step.name, ms: ms(), fact: fact ?? null });
    run.control.emit('step', { step: step.name, status: 'done', ms: ms() }, isDown(step, 'done'));
    return null;
  } catch (thrown) {
    const error = toRefloatError(thrown);
    run.control.emit('step', { step: step.name, status: 'failed', ms: ms(), error: error.toJSON() });
    if (step.onFailure !== 'warn') return { error, step: step.name };
    append(run, { type: 'warned', step: step.name, ms: ms(), error: error.toJSON() });
    run.control.emit('warning', { step: step.name, message: error.message, hint: error.hint });
    return null;
  }
}

/** Its end is recorded, and what it did cannot get lost any more. */
export function isSettled<Facts>({ done }: JournalState, step: AnyStep<Facts>): boolean {
  return done.has(step.name) && (step.settledBy === undefined || done.has(step.settledBy));
}

/** Whether the workload is down when a step begins or ends. */
function isDown<Facts>({ downtime }: AnyStep<Facts>, when: 'started' | 'done'): boolean {
  return downtime === 'within' || downtime === (when === 'done' ? 'begins' : 'ends');
}

/** Before its act: that a step was begun is on the disk, unless the step has nothing to take back before it commits. */
function begin<Facts>(run: SagaRun<Facts>, step: AnyStep<Facts>): void {
  const { started, committed } = stateOf(run);
  if (started.includes(step.name)) return;
  const record = { type: 'started', step: step.name } as const;
  if (step.beginsWithCommit === true && !committed) run.journal.appendLater(record);
  else append(run, record);
}

/** Nothing begun that has an undo: it failed before it did anything. Otherwise it was taken back, or cancelled. */
function unwoundState<Facts>(saga: Saga<Facts>, state: JournalState, reason: RefloatError): Unwound {
  if (reason.code === 'CANCELLED') return 'cancelled';
  const didSomething = saga.steps.some((step) => step.undo !== undefined && state.started.includes(step.name));
  return didSomething ? 'rolled_back' : 'failed';
}

function finish<Facts>(run: SagaRun<Facts>, outcome: Outcome): Outcome {
  append(run, { type: 'outcome', outcome });
  return outcome;
}

/** A journal that cannot be written is the end of this process's work: nothing may be done that is not recorded. */
function append<Facts>(run: SagaRun<Facts>, ...records: readonly JournalRecord[]): void {
  run.journal.append(...records);
}

function stateOf<Facts>(run: SagaRun<Facts>): JournalState {
  return reduceJournal(run.journal.records) ?? fail('a saga runs only under a journal that was begun');
}

const NEVER = new AbortController().signal;

export function contextOf<Facts>(run: SagaRun<Facts>, signal: AbortSignal): StepContext<Facts> {
  return contextWith(run, signal, {
    state: () => stateOf(run),
    append: (...records) => append(run, ...records),
    msSinceNote: (name) => run.journal.msSinceNote(name),
  });
}

interface Records {
  readonly state: () => JournalState;
  readonly append: (...records: readonly JournalRecord[]) => void;
  readonly msSinceNote: (name: string) => number;
}

function contextWith<Facts>(
  run: Omit<SagaRun<Facts>, 'journal'>,
  signal: AbortSignal,
  { state, append, msSinceNote }: Records,
): StepContext<Facts> {
  const factOrNull = <Name extends keyof Facts & string>(name: Name): Facts[Name] | null =>
    (state().facts.get(name) as Facts[Name] | undefined) ?? null;
  return {
    deps: run.deps,
    intent: state().intent,
    lock: run.lock,
    control: run.control,
    signal,
    factOrNull,
    fact: (name) => factOrNull(name) ?? fail(`the step or note "${name}" has left nothing in the journal`),
    note: (name, fact) => append({ type: 'note', name, fact }),
    msSinceNote,
    committed: () => state().committed,
    commit: ({ notes = {}, begins } = {}) =>
      append(
        ...Object.entries(notes).map(([name, fact]) => ({ type: 'note', name, fact }) as const),
        ...(begins === undefined ? [] : [{ type: 'started', step: begins } as const]),
        { type: 'commit' },
      ),
    warn: (message) => {
      append({ type: 'warning', message });
      run.control.emit('warning', { message });
    },
  };
}

function fail(message: string): never {
  throw new Error(message);
}
