/**
 * What to do with an unfinished journal. Pure: journal and probes in, decision out; tested over every state.
 *
 * | journal says                                    | the commit step's probe says | decision     |
 * |--------------------------------------------------|------------------------------|--------------|
 * | first record never durable                       | (not asked)                  | nothing      |
 * | outcome, not `stuck`                             | (not asked)                  | nothing      |
 * | any                                              | undecidable                  | stuck        |
 * | unwinding had begun                              | anything else                | unwind       |
 * | no commit                                        | anything else                | unwind       |
 * | commit                                           | anything else                | roll forward |
 */
import type { JournalState } from './journal-state.ts';
import type { ProbeResult } from './saga.ts';

export type RecoveryDecision =
  | { readonly action: 'nothing' }
  | { readonly action: 'roll-forward' }
  | { readonly action: 'unwind' }
  | { readonly action: 'stuck'; readonly step: string; readonly what: string };

/**
 * @param state what the journal adds up to; null when its first record never became durable
 * @param probes by step, of the steps that were begun and have a probe
 */
export function planRecovery(state: JournalState | null, probes: ReadonlyMap<string, ProbeResult>): RecoveryDecision {
  if (state === null) return { action: 'nothing' };
  if (state.outcome !== null && state.outcome.state !== 'stuck') return { action: 'nothing' };
  for (const [step, probe] of probes) {
    if (probe.found === 'undecidable') return { action: 'stuck', step, what: probe.what };
  }
  if (state.unwinding !== null || !state.committed) return { action: 'unwind' };
  return { action: 'roll-forward' };
}
