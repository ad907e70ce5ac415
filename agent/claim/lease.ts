/**
 * Keeps the lease of one intent while it is worked on, and learns of a cancel.
 *
 * Guarantees: renewed every third of its length by the database's clock; a lease that another holder has is given up at once. A claim
 * that Postgres has forgotten is none: the claim loop makes it again.
 * Does not guarantee: anything while Postgres is away. Then the work goes on: a host's intent is never handed to another host.
 */
import type { Logger } from 'pino';
import { type Holder, LEASE_SECONDS } from '../../db/queries/agent-statement.ts';
import { isStillOurs } from '../../db/queries/is-still-ours.ts';
import { renewLease } from '../../db/queries/renew-lease.ts';
import { type AgentDatabase, asRefloatError } from './agent-database.ts';
import { Bell } from './bell.ts';

const RENEW_EVERY_MS = (LEASE_SECONDS * 1000) / 3;

export interface LeaseOptions {
  readonly database: AgentDatabase;
  readonly holder: Holder;
  readonly log: Logger;
  readonly onCancel: () => void;
  readonly onLost: () => void;
}

export class Lease {
  readonly #options: LeaseOptions;
  readonly #bell = new Bell();
  readonly #stop = new AbortController();
  readonly #work: Promise<void>;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#work = this.#keep();
  }

  /** Something about the intent changed in Postgres: look now. */
  look(): void {
    this.#bell.ring();
  }

  /** Ends the renewing; the lease itself ends with the outcome. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#bell.wait(RENEW_EVERY_MS, signal);
      if (signal.aborted) return;
      if (!(await this.#renew())) return;
    }
  }

  async #renew(): Promise<boolean> {
    const { database, holder, log, onCancel, onLost } = this.#options;
    try {
      const renewed = await database.attempt((sql) => renewLease(sql, holder));
      if (this.#stop.signal.aborted) return false;
      if (renewed === null && (await database.attempt((sql) => isStillOurs(sql, holder)))) return true;
      if (renewed === null) {
        log.error({ intentId: holder.intentId, leaseEpoch: holder.leaseEpoch }, 'the lease is lost');
        onLost();
        return false;
      }
      if (renewed.cancelRequested) onCancel();
    } catch (thrown) {
      log.warn({ intentId: holder.intentId, error: asRefloatError(thrown).toJSON() }, 'the lease could not be renewed');
    }
    return true;
  }
}
