/**
 * What to do with an unfinished journal. Pure: journal and probes in, decision out; tested over every state.
 * The table decides: its first row that applies. The README shows the same table, and a test compares the two.
 */
import type { JournalState } from './journal-state.ts';
import type { ProbeResult } from './saga.ts';

export type RecoveryDecision =
  | { readonly action: 'nothing' }
  | { readonly action: 'roll-forward' }
  | { readonly action: 'unwind' }
  | { readonly action: 'stuck'; readonly step: string; readonly what: string };

interface Row {
  /** In words, for people. */
  readonly journal: string;
  readonly disk: string;
  readonly recovery: string;
  readonly applies: (state: JournalState | null, lost: Lost | null) => boolean;
  readonly action: RecoveryDecision['action'];
}

/** What a probe could not tell apart. */
interface Lost {
  readonly step: string;
  readonly what: string;
}

export const RECOVERY_TABLE: readonly Row[] = [
  {
    journal: 'first record never durable',
    disk: '–',
    recovery: 'removes the file; nothing was done',
    applies: (state) => state === null,
    action: 'nothing',
  },
  {
    journal: 'an outcome other than `stuck`',
    disk: '–',
    recovery: 'nothing',
    applies: (state) => state !== null && state.outcome !== null && state.outcome.state !== 'stuck',
    action: 'nothing',
  },
  {
    journal: 'anything',
    disk: 'neither old nor new',
    recovery: '`stuck`: deletes nothing, says what it found',
    applies: (_, lost) => lost !== null,
    action: 'stuck',
  },
  {
    journal: 'unwinding had begun',
    disk: 'old, new, or between',
    recovery: 'goes on unwinding',
    applies: (state) => state?.unwinding !== null,
    action: 'unwind',
  },
  {
    journal: 'no commit record',
    disk: 'old, new, or between',
    recovery: 'unwinds: exchange back, policies back, start what ran, remove staging',
    applies: (state) => state?.committed === false,
    action: 'unwind',
  },
  {
    journal: 'commit record',
    disk: 'old, new, or between',
    recovery: 'rolls forward: exchange, redeploy, health, preserve, cleanup',
    applies: (state) => state?.committed === true,
    action: 'roll-forward',
  },
];

/**
 * @param state what the journal adds up to; null when its first record never became durable
 * @param probes by step, of the steps that were begun and have a probe
 */
export function planRecovery(state: JournalState | null, probes: ReadonlyMap<string, ProbeResult>): RecoveryDecision {
  const lost = firstLost(probes);
  const row = RECOVERY_TABLE.find((candidate) => candidate.applies(state, lost));
  if (row === undefined) throw new Error('no row of the recovery table applies');
  if (row.action !== 'stuck') return { action: row.action };
  if (lost === null) throw new Error('stuck without a reason');
  return { action: 'stuck', ...lost };
}

function firstLost(probes: ReadonlyMap<string, ProbeResult>): Lost | null {
  for (const [step, probe] of probes) {
    if (probe.found === 'undecidable') return { step, what: probe.what };
  }
  return null;
}
