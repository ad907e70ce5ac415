/** What a running intent may ask of the side that talks with Postgres. Works, as far as it can, while Postgres is away. */
import type { IntentEvent, Progress } from '../../db/results.ts';

export interface IntentControl {
  /** Aborted when a cancel was requested, or the agent must stop now; the reason is a RefloatError (`CANCELLED`, `INTERRUPTED`). */
  readonly signal: AbortSignal;
  /**
   * Spooled durably and delivered in order, once.
   * @param quietly delivered together with what comes next: what is not worth any work while containers are down
   */
  emit(type: IntentEvent['type'], data: IntentEvent['data'], quietly?: boolean): void;
  /** The latest figure only; throttled, lost while Postgres is away. */
  progress(progress: Progress): void;
  /**
   * Asked before the first container is stopped: nothing is to go down for what could not be committed any more. Throws `EXPIRED`;
   * returns also when Postgres cannot be reached.
   */
  confirmStop(): Promise<void>;
  /** The commit point is near: what `confirmCommit` needs beforehand is seen to, beside the last work before it. Commits to nothing. */
  prepareCommit(): void;
  /**
   * Asked right before the commit point. Throws `CANCELLED`, `EXPIRED` (past `not_after`) or `LEASE_LOST` (another epoch).
   * Returns when Postgres says go, and also when Postgres cannot be reached: a host's intent is never handed to another
   * host, so past preflight it finishes without the database (guarantee 9).
   */
  confirmCommit(): Promise<void>;
}
