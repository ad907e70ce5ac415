/**
 * What a running intent says, without Postgres: everything goes to the spool. Recovery uses it as it is; while Postgres is
 * there, `held-control.ts` adds lease, cancel and the question before the commit point.
 */
import type { IntentEvent, Progress, SnapshotRecord } from '../../db/results.ts';
import type { IntentControl } from './intent-control.ts';
import type { Spool } from './spool.ts';

const NEVER = new AbortController().signal;

export class SpooledControl implements IntentControl {
  readonly signal: AbortSignal;
  readonly #spool: Spool;
  readonly #now: () => Date;

  constructor(spool: Spool, now: () => Date, signal: AbortSignal = NEVER) {
    this.#spool = spool;
    this.#now = now;
    this.signal = signal;
  }

  /** A published snapshot is registered first, so that whoever reads the event finds it. */
  emit(type: IntentEvent['type'], data: IntentEvent['data'], quietly = false): void {
    if (type !== 'snapshot') {
      this.#spool.emit(type, data, this.#now(), quietly);
      return;
    }
    const snapshot = data as unknown as SnapshotRecord;
    this.#spool.append({ type: 'snapshot', snapshot });
    const bytes = snapshot.volumes.reduce((sum, volume) => sum + volume.contentBytes, 0);
    this.#spool.emit('snapshot', { snapshotId: snapshot.id, kind: snapshot.kind, bytes }, this.#now());
  }

  /** The files of a snapshot are gone. */
  snapshotDeleted(snapshotId: string): void {
    this.#spool.append({ type: 'snapshot-deleted', snapshotId });
  }

  progress(_progress: Progress): void {
    // Figures are of use only while somebody watches.
  }

  async confirmStop(): Promise<void> {
    // As for the commit point.
  }

  prepareCommit(): void {
    // Nobody to ask.
  }

  async confirmCommit(): Promise<void> {
    // Nobody to ask: past preflight an intent finishes on the host without the database.
  }
}
