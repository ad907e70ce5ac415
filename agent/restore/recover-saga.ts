/** Recovery of one unfinished journal: probe, plan, execute. */
import { RefloatError } from '../../db/errors.ts';
import type { Outcome } from '../../db/results.ts';
import { Journal } from './journal.ts';
import { journalPath, readJournal } from './journal-dir.ts';
import { reduceJournal } from './journal-state.ts';
import { planRecovery } from './recovery-plan.ts';
import type { RunTools } from './run-journaled.ts';
import { contextOf, isSettled, letRun, rollForward, type SagaRun, stuck, unwind } from './run-saga.ts';
import type { ProbeResult, Saga } from './saga.ts';

const NEVER = new AbortController().signal;

/**
 * Brings an unfinished intent to its outcome. Idempotent: a crash in the middle leaves a journal that it can be called on again.
 * @param reason why it is unfinished, if this process knows; what is taken back then says so
 * @param known what this process knows of the journal; default what can be read of it
 * @throws RefloatError `JOURNAL_DAMAGED`; `ENGINE_UNAVAILABLE` and the like are retried, then recorded as `stuck`
 */
export async function recoverSaga<Facts>(
  saga: Saga<Facts>,
  tools: RunTools,
  intentId: string,
  reason?: RefloatError,
  known = readJournal(tools.deps.config.stateDir, intentId).state,
): Promise<Outcome> {
  let journal: Journal | null = null;
  // False while others may be working on what this intent has stopped.
  let mayTouch = true;
  try {
    journal = Journal.open(journalPath(tools.deps.config.stateDir, intentId), intentId, tools.deps.now);
    const run: SagaRun<Facts> = { saga, journal, ...tools };
    mayTouch = false;
    if (reduceJournal(journal.records) !== null) await saga.retake(contextOf(run, NEVER));
    mayTouch = true;
    return await finish(run, reason);
  } catch (thrown) {
    const state = journal === null ? known : reduceJournal(journal.records);
    if (state !== null && mayTouch) await letRun({ saga, ...tools }, state);
    throw thrown;
  } finally {
    journal?.close();
  }
}

async function finish<Facts>(run: SagaRun<Facts>, reason?: RefloatError): Promise<Outcome> {
  const { journal } = run;
  const decision = planRecovery(reduceJournal(journal.records), await probeBegun(run));
  switch (decision.action) {
    case 'nothing':
      return reduceJournal(journal.records)?.outcome ?? nothingWasDone();
    case 'roll-forward':
      return await rollForward(run);
    case 'unwind':
      return await unwind(run, reason ?? interrupted());
    case 'stuck':
      return stuck(
        run,
        decision.step,
        new RefloatError('STATE_UNDECIDABLE', decision.what, {
          hint: `Nothing was deleted. Move (do not copy) the directories back and run "refloat-agent recover"; or put the data that you want in place and run "refloat-agent resolve ${journal.intentId} --keep".`,
          disposition: 'stuck',
        }),
      );
  }
}

async function probeBegun<Facts>(run: SagaRun<Facts>): Promise<Map<string, ProbeResult>> {
  const state = reduceJournal(run.journal.records);
  const probes = new Map<string, ProbeResult>();
  if (state === null) return probes;
  const context = contextOf(run, NEVER);
  for (const step of run.saga.steps) {
    if (step.probe === undefined || !state.started.includes(step.name)) continue;
    // What was taken back for good needs no look; nor does what came to its end, as long as nobody is to take it back: the workload
    // runs on it, and what it makes of it is its own affair.
    if (state.undone.has(step.name) || (state.unwinding === null && isSettled(state, step))) continue;
    probes.set(step.name, await step.probe(context));
  }
  return probes;
}

function interrupted(): RefloatError {
  return new RefloatError('INTERRUPTED', 'the agent stopped in the middle; what it had begun was taken back', {
    hint: 'The workload runs as before. Start it again if you still want it.',
    disposition: 'fail',
  });
}

function nothingWasDone(): Outcome {
  return { state: 'failed', result: null, error: interrupted().toJSON() };
}
