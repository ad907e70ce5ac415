/** What a journal's records add up to. A pure reduction: the same records give the same state. */
import type { ErrorJson } from '../../db/errors.ts';
import type { Outcome, StepTiming } from '../../db/results.ts';
import type { ClaimedIntent } from '../intents/claimed-intent.ts';
import type { Released, Stamped, Unwound } from './journal.ts';

export interface JournalState {
  readonly intent: ClaimedIntent;
  readonly beganAt: string;
  /** Steps whose act was begun, in order. */
  readonly started: readonly string[];
  /** Steps whose act came to an end, with or without a warning. */
  readonly done: ReadonlySet<string>;
  readonly undone: ReadonlySet<string>;
  /** What steps returned and noted, by name of the step or note. */
  readonly facts: ReadonlyMap<string, unknown>;
  readonly timings: readonly StepTiming[];
  readonly warnings: readonly string[];
  readonly committed: boolean;
  readonly unwinding: { readonly state: Unwound; readonly error: ErrorJson & { readonly step?: string } } | null;
  readonly outcome: Outcome | null;
  readonly released: Released | null;
}

/** Null for a journal whose first record never became durable: then nothing was done. */
export function reduceJournal(records: readonly Stamped[]): JournalState | null {
  const first = records[0];
  if (first === undefined || first.type !== 'begin') return null;
  const started: string[] = [];
  const done = new Set<string>();
  const undone = new Set<string>();
  const facts = new Map<string, unknown>();
  const timings: StepTiming[] = [];
  const warnings: string[] = [];
  let committed = false;
  let unwinding: JournalState['unwinding'] = null;
  let outcome: Outcome | null = null;
  let released: JournalState['released'] = null;
  for (const record of records) {
    switch (record.type) {
      case 'begin':
        break;
      case 'started':
        if (!started.includes(record.step)) started.push(record.step);
        break;
      case 'done':
        if (!done.has(record.step)) timings.push({ name: record.step, ms: record.ms });
        done.add(record.step);
        facts.set(record.step, record.fact);
        break;
      case 'warned':
        done.add(record.step);
        timings.push({ name: record.step, ms: record.ms });
        warnings.push(`${record.step}: ${record.error.message}`);
        break;
      case 'warning':
        warnings.push(record.message);
        break;
      case 'note':
        facts.set(record.name, record.fact);
        break;
      case 'commit':
        committed = true;
        break;
      case 'unwind':
        unwinding = { state: record.state, error: record.error };
        break;
      case 'undone':
        undone.add(record.step);
        break;
      case 'outcome':
        outcome = record.outcome;
        break;
      case 'released':
        released = record.why;
        break;
      default:
        throw new Error(`unknown journal record ${JSON.stringify(record satisfies never)}`);
    }
  }
  return {
    intent: first.intent,
    beganAt: first.at,
    started,
    done,
    undone,
    facts,
    timings,
    warnings,
    committed,
    unwinding,
    outcome,
    released,
  };
}
