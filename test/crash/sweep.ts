/**
 * What a sweep is: many cases of one kind of fault, each judged by the oracle. `sweeps.ts` is the table of them,
 * `runner.ts` runs them.
 *
 * A case is a name and nothing else: together with the seed it says everything that is needed to run it again.
 */
import type { Random } from './random.ts';

/** Where the cases of one process run, one after the other. Two or more slots work at the same time. */
export interface Slot {
  readonly index: number;
  readonly seed: string;
  /** Scratch that nobody else uses, on tmpfs; removed afterwards. */
  readonly directory: string;
  /** Bundles that all slots share. */
  readonly programs: string;
}

export interface CaseResult {
  /** How many faults this case tried; most cases are one. */
  readonly count: number;
  /** What the oracle found wrong, in words; empty when all is well. */
  readonly violations: readonly string[];
  /** What became of it, counted per word in the summary: `old`, `new`, `stuck`, … */
  readonly ended?: string | undefined;
}

export interface SweepSession {
  /**
   * Names of cases that together try at least `count` faults (fewer only if there are no more), and a few to spare, for a case may
   * find that its fault cannot be tried and count 0; the same seed gives the same names. Asked of the first slot alone.
   */
  cases(count: number, random: Random): Promise<readonly string[]>;
  /** Runs one case. What it throws is a violation, too. */
  run(name: string): Promise<CaseResult>;
  close(): Promise<void>;
}

export interface Sweep {
  /** Prepares what the cases of a slot share. */
  open(slot: Slot): Promise<SweepSession>;
}

export interface SweepEntry {
  readonly name: string;
  /** One line for people. */
  readonly what: string;
  /** Faults in a full run, and in the sample of `npm test`; 0 keeps a sweep out of it. */
  readonly full: number;
  readonly sample: number;
  /** Fewer than the runner has when cases need something of which there is one. */
  readonly slots?: number;
  /** A case that takes longer is a violation. */
  readonly caseMs?: number;
  readonly load: () => Promise<Sweep>;
}
