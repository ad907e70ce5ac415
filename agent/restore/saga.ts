/**
 * The vocabulary of a saga: a table of steps, and what a step may use.
 *
 * Every act, undo and probe is idempotent: recovery runs again whatever was begun and has no record of its end.
 * `Facts` maps a step's name to what its act returns, and a note's name to what was noted; all of it is plain JSON.
 */
import type { IntentControl } from '../claim/intent-control.ts';
import type { WorkloadLock } from '../deploy/workload-lock.ts';
import type { AgentDeps } from '../deps.ts';
import type { ClaimedIntent } from '../intents/claimed-intent.ts';

export interface StepContext<Facts> {
  readonly deps: AgentDeps;
  readonly intent: ClaimedIntent;
  /** Proof that this intent holds its workload's lock. */
  readonly lock: WorkloadLock;
  readonly control: IntentControl;
  /** Aborts acts before the commit point (cancel, or the agent must stop); never aborts afterwards, nor an undo. */
  readonly signal: AbortSignal;
  /** What an earlier step returned or noted; throws if there is none. */
  fact<Name extends keyof Facts & string>(name: Name): Facts[Name];
  factOrNull<Name extends keyof Facts & string>(name: Name): Facts[Name] | null;
  /** Makes something durable before the step goes on. */
  note<Name extends keyof Facts & string>(name: Name, fact: Facts[Name]): void;
  /** Never below 0, and not moved by a clock that is set, unless the process that noted it was another one. */
  msSinceNote<Name extends keyof Facts & string>(name: Name): number;
  committed(): boolean;
  /**
   * Passes the commit point: from here on a crash rolls forward. Only one step of a table calls it. What is given with it is
   * durable in the same moment, before it: notes, and the beginning of the step that follows.
   */
  commit(together?: { readonly notes?: Partial<Facts>; readonly begins?: keyof Facts & string }): void;
  /** Counted and named in the result (guarantee 10). */
  warn(message: string): void;
}

export interface Step<Facts, Name extends keyof Facts & string = keyof Facts & string> {
  readonly name: Name;
  act(context: StepContext<Facts>): Promise<Facts[Name]>;
  undo?(context: StepContext<Facts>): Promise<void>;
  /** Looks at the disk or the engine; recovery asks before it decides. Only steps where the journal alone cannot tell. */
  probe?(context: StepContext<Facts>): Promise<ProbeResult>;
  /** `warn`: the work is done and safe without this step; its failure is named in the result and nothing is taken back. */
  readonly onFailure?: 'warn';
  /** Its undo moves or removes data, so that a person who keeps what is there leaves it out (resolve.ts). */
  readonly undoMoves?: 'data';
  /**
   * Its undo lets the workload run again. While no step that `beginsWithCommit` was begun, the data is as it was: then this undo comes
   * first, and is done also where the journal takes no record.
   */
  readonly undoResumes?: 'workload';
  /** Before its `commit`, which makes its beginning durable as well, it changes nothing but what it noted first. */
  readonly beginsWithCommit?: true;
  /** What it did is durable only when that later step has ended; until then recovery runs it again, although it had ended. */
  readonly settledBy?: keyof Facts & string;
  /** The workload goes down while it acts, is down, or comes up: nothing is told to Postgres that can be told afterwards. */
  readonly downtime?: 'begins' | 'within' | 'ends';
}

export type ProbeResult =
  | { readonly found: 'not-done' | 'partly' | 'done' }
  /** What is there is neither what was before nor what was to come. */
  | { readonly found: 'undecidable'; readonly what: string };

export interface Saga<Facts> {
  readonly steps: readonly AnyStep<Facts>[];
  /** Takes what an interrupted run had taken besides its workload's lock, by the journal alone; recovery touches nothing before that. */
  retake(context: StepContext<Facts>): Promise<void>;
  /** The result of an intent whose steps have all been done. */
  result(context: Pick<StepContext<Facts>, 'fact' | 'factOrNull' | 'intent'>): Readonly<Record<string, unknown>>;
}

/** A step of whatever name; what the table holds. */
export interface AnyStep<Facts> {
  readonly name: keyof Facts & string;
  act(context: StepContext<Facts>): Promise<unknown>;
  undo?(context: StepContext<Facts>): Promise<void>;
  probe?(context: StepContext<Facts>): Promise<ProbeResult>;
  readonly onFailure?: 'warn';
  readonly undoMoves?: 'data';
  readonly undoResumes?: 'workload';
  readonly beginsWithCommit?: true;
  readonly settledBy?: keyof Facts & string;
  readonly downtime?: 'begins' | 'within' | 'ends';
}
