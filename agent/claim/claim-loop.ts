/**
 * Claims this host's intents and works on them.
 *
 * Guarantees: at most one intent of a workload at a time, several workloads side by side; an intent that an earlier claim
 * finished on this host gets its recorded result again instead of a second run; a claim whose answer got lost is taken up; draining
 * ends the claiming and lets what runs come to its end.
 * Does not guarantee: speed while notifications do not arrive; then it polls.
 */
import type { Logger } from 'pino';
import { type RefloatError, toRefloatError } from '../../db/errors.ts';
import { adoptLostClaims } from '../../db/queries/adopt-lost-claims.ts';
import { type ClaimedRow, claimIntent } from '../../db/queries/claim-intent.ts';
import { readoptIntents } from '../../db/queries/readopt-intents.ts';
import { reportContainers } from '../../db/queries/report-containers.ts';
import type { AgentDeps } from '../deps.ts';
import { type AgentDatabase, asRefloatError } from './agent-database.ts';
import { Backoff, jittered } from './backoff.ts';
import { Bell } from './bell.ts';
import type { Delivery } from './delivery.ts';
import type { HeldControl } from './held-control.ts';
import { readInventory } from './inventory.ts';
import { workOn } from './work-on.ts';

/** Workloads that are worked on at the same time. */
const PARALLEL = 4;
/** Pause between looks while notifications arrive, and while they do not. */
const POLL_MS = { notified: 15_000, alone: 2000 };
const INVENTORY_EVERY_MS = 30_000;
/** So long after a claim without an answer it may still come to its end in Postgres. */
const LOST_CLAIM_MS = 120_000;
/** Between two tries of an intent that ended without an outcome. */
const PAUSE_AFTER_FAILURE_MS = 5000;

export interface ClaimLoopOptions {
  readonly deps: AgentDeps;
  readonly database: AgentDatabase;
  readonly delivery: Delivery;
  readonly hostId: string;
  readonly instance: string;
  /** Whether notifications arrive, so that polling is a fallback only. */
  readonly isNotified: () => boolean;
  readonly parallel?: number;
}

interface Running {
  readonly leaseEpoch: number;
  work: Promise<void>;
  control: HeldControl | null;
}

export class ClaimLoop {
  readonly #options: ClaimLoopOptions;
  readonly #log: Logger;
  readonly #bell = new Bell();
  readonly #inventoryBell = new Bell();
  readonly #draining = new AbortController();
  /** On the clock of `performance.now()`: until then a claim may have been made that this agent has not heard of. */
  #mayHaveClaimedUntil = 0;
  readonly #running = new Map<string, Running>();

  constructor(options: ClaimLoopOptions) {
    this.#options = options;
    this.#log = options.deps.log;
  }

  /** Postgres has news: of this intent, or, with an empty id, of nobody knows what. */
  notified(intentId: string): void {
    this.#running.get(intentId)?.control?.look();
    this.#bell.ring();
    if (intentId === '') this.#inventoryBell.ring();
  }

  /** Claims nothing more; `run` returns when what runs has come to its end. */
  drain(): void {
    if (!this.#draining.signal.aborted) this.#log.info({ running: this.#running.size }, 'draining');
    this.#draining.abort();
  }

  /** What runs is taken back where it still can be; the rest comes to its end. */
  interrupt(): void {
    this.drain();
    for (const { control } of this.#running.values()) control?.interrupt();
  }

  get running(): number {
    return this.#running.size;
  }

  /** Takes up what the last agent left, then claims until drained. */
  async run(): Promise<void> {
    const inventory = this.#keepInventory();
    try {
      await this.#readopt();
      while (!this.#draining.signal.aborted) {
        await this.#claimAll();
        const pause = this.#options.isNotified() ? POLL_MS.notified : POLL_MS.alone;
        await this.#bell.wait(jittered(pause), this.#draining.signal);
      }
    } finally {
      this.#draining.abort();
      await Promise.all([...this.#running.values()].map((entry) => entry.work));
      await inventory;
    }
  }

  async #readopt(): Promise<void> {
    const { database, hostId, instance, delivery } = this.#options;
    const signal = this.#draining.signal;
    const backoff = new Backoff();
    while (!signal.aborted) {
      try {
        const rows = await database.attempt((sql) => readoptIntents(sql, hostId, instance));
        for (const row of rows) this.#start(row);
        delivery.resumeLeftovers();
        return;
      } catch (thrown) {
        this.#complain(asRefloatError(thrown), 'waiting to take up what was left');
        await backoff.pause(signal);
      }
    }
  }

  async #claimAll(): Promise<void> {
    const { database, hostId, instance, parallel = PARALLEL } = this.#options;
    const backoff = new Backoff();
    while (!this.#draining.signal.aborted && this.#running.size < parallel) {
      try {
        if (performance.now() < this.#mayHaveClaimedUntil) await this.#adoptLostClaims();
        const row = await database.attempt((sql) => claimIntent(sql, hostId, instance));
        if (row === null) return;
        backoff.reset();
        this.#start(row);
      } catch (thrown) {
        this.#mayHaveClaimedUntil = performance.now() + LOST_CLAIM_MS;
        this.#complain(asRefloatError(thrown), 'nothing can be claimed');
        await backoff.pause(this.#draining.signal);
      }
    }
  }

  /** @throws what `attempt` throws */
  async #adoptLostClaims(): Promise<void> {
    const { database, hostId, instance, delivery } = this.#options;
    const known = [...this.#running.keys(), ...delivery.intents()];
    const rows = await database.attempt((sql) => adoptLostClaims(sql, hostId, instance, known));
    for (const row of rows) {
      this.#log.warn({ intentId: row.id }, 'claimed without an answer; taken up');
      this.#start(row);
    }
  }

  #start(row: ClaimedRow): void {
    // Postgres crashed and forgot the claim, and has given it to this agent again: the work goes on under it.
    if (this.#running.get(row.id)?.leaseEpoch === row.leaseEpoch) return;
    const { leaseEpoch } = row;
    const entry: Running = { leaseEpoch, work: Promise.resolve(), control: null };
    this.#running.set(row.id, entry);
    entry.work = workOn({ ...this.#options, row, onControl: (control) => this.#controlled(entry, control) })
      .catch(async (thrown: unknown) => {
        this.#log.error(
          { intentId: row.id, error: toRefloatError(thrown).toJSON() },
          'an intent ended without an outcome',
        );
        // Nobody else may take it: it is taken up again, as a claim whose answer got lost.
        this.#mayHaveClaimedUntil = performance.now() + LOST_CLAIM_MS;
        await new Bell().wait(jittered(PAUSE_AFTER_FAILURE_MS), this.#draining.signal);
      })
      .finally(() => {
        if (this.#running.get(row.id) === entry) this.#running.delete(row.id);
        this.#inventoryBell.ring();
        this.#bell.ring();
      });
  }

  #controlled(entry: { control: HeldControl | null }, control: HeldControl): void {
    entry.control = control;
    // A cancel between the claim and now was notified before there was anybody to tell.
    control.look();
  }

  async #keepInventory(): Promise<void> {
    const { deps, database, hostId, instance } = this.#options;
    const signal = this.#draining.signal;
    while (!signal.aborted) {
      try {
        const containers = await readInventory(deps);
        await database.attempt((sql) => reportContainers(sql, hostId, instance, containers));
      } catch (thrown) {
        this.#log.debug({ error: asRefloatError(thrown).toJSON() }, 'the inventory was not reported');
      }
      await this.#inventoryBell.wait(INVENTORY_EVERY_MS, signal);
    }
  }

  #complain(error: RefloatError, what: string): void {
    this.#log.warn({ error: error.toJSON() }, what);
  }
}
