/**
 * Brings what is spooled to Postgres: in order, each thing once, however often Postgres goes away meanwhile.
 *
 * Guarantees: an intent's events and snapshots arrive before its outcome; what Postgres refuses as such is set aside in
 * `spool/refused/` and never holds up what comes behind it; what another holder's epoch fences out is kept in `spool/lost/`. Where
 * the disk takes neither it is tried again, as if Postgres were away.
 */
import { closeSync, fstatSync, ftruncateSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { type RefloatError, toRefloatError } from '../../db/errors.ts';
import type { Holder } from '../../db/queries/agent-statement.ts';
import { appendEvents } from '../../db/queries/append-events.ts';
import { finishIntent } from '../../db/queries/finish-intent.ts';
import { isStillOurs } from '../../db/queries/is-still-ours.ts';
import { markSnapshotDeleted } from '../../db/queries/mark-snapshot-deleted.ts';
import { registerSnapshot, registerSnapshotVolumes } from '../../db/queries/register-snapshot.ts';
import { makeDirectoriesDurably, writeAll } from '../fs/durable.ts';
import { crashPoint } from '../restore/crash-point.ts';
import { type AgentDatabase, asRefloatError } from './agent-database.ts';
import { Backoff } from './backoff.ts';
import { listSpools, type NumberedItem, Spool } from './spool.ts';

/** Events that go to Postgres in one statement. */
const BATCH = 200;
const IDLE_MS = 60_000;

export interface DeliveryOptions {
  readonly database: AgentDatabase;
  readonly stateDir: string;
  readonly hostId: string;
  readonly log: Logger;
  /** An intent's outcome has arrived, or is nobody's any more. */
  readonly onSettled?: (intentId: string) => void;
}

export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #spools = new Map<string, { spool: Spool; work: Promise<void> }>();
  readonly #stop = new AbortController();

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** The spool of an intent that this agent holds under `leaseEpoch`; from now on it is delivered. */
  hold(intentId: string, leaseEpoch: number, lastSeq: number): Spool {
    const known = this.#spools.get(intentId)?.spool;
    const spool = known ?? Spool.open(this.#options.stateDir, intentId);
    spool.hold(leaseEpoch, lastSeq);
    if (known === undefined) this.#begin(spool);
    return spool;
  }

  /** Ids of the intents of which something is still to be delivered, or will be. */
  intents(): string[] {
    return [...this.#spools.keys()];
  }

  /** Delivers what an earlier agent left, of intents that are not held anew (their outcome may have arrived already). */
  resumeLeftovers(): void {
    for (const intentId of listSpools(this.#options.stateDir)) {
      if (this.#spools.has(intentId)) continue;
      const spool = Spool.open(this.#options.stateDir, intentId);
      if (spool.isDelivered) spool.remove();
      else this.#begin(spool);
    }
  }

  /** Resolves when all that is spooled has arrived, or after `ms`; false if something is left for the next start. */
  async flush(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, ms, false);
    });
    const settled = Promise.all([...this.#spools.values()].map((entry) => entry.work)).then(() => true as const);
    try {
      return await Promise.race([settled, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all([...this.#spools.values()].map((entry) => entry.work));
    for (const { spool } of this.#spools.values()) spool.close();
    this.#spools.clear();
  }

  #begin(spool: Spool): void {
    const work = this.#deliverAll(spool).catch((thrown: unknown) => {
      this.#options.log.error({ intentId: spool.intentId, error: asRefloatError(thrown).toJSON() }, 'delivery ended');
    });
    this.#spools.set(spool.intentId, { spool, work });
  }

  async #deliverAll(spool: Spool): Promise<void> {
    const signal = this.#stop.signal;
    const backoff = new Backoff();
    while (!signal.aborted) {
      const items = nextBatch(spool.undelivered);
      const last = items.at(-1);
      if (last === undefined) {
        await spool.changed.wait(IDLE_MS, signal);
        continue;
      }
      // What Postgres has heard must not be numbered anew after a power cut.
      await spool.flush();
      const answer = await this.#deliver(spool, items);
      if (answer === 'away' || (answer === 'lost' && !this.#onDisk(spool, () => spool.setAside()))) {
        await backoff.pause(signal);
        continue;
      }
      backoff.reset();
      if (answer === 'lost') return this.#settle(spool);
      spool.delivered(last.number);
      // Behind a stuck outcome another one may wait: recovery came to an end before Postgres heard of the first.
      if (last.item.type !== 'finish' || !spool.isDelivered) continue;
      // What cannot be removed is delivered once more by the next start, which is harmless.
      this.#onDisk(spool, () => this.#afterFinish(spool));
      return this.#settle(spool);
    }
  }

  /** False if the disk did not take it. */
  #onDisk(spool: Spool, change: () => void): boolean {
    try {
      change();
      return true;
    } catch (thrown) {
      const error = toRefloatError(thrown).toJSON();
      this.#options.log.error({ intentId: spool.intentId, error }, 'the spool cannot be changed');
      return false;
    }
  }

  /** A stuck intent will have another outcome: its spool stays, and with it the numbering of its events. */
  #afterFinish(spool: Spool): void {
    if (spool.outcome?.state === 'stuck') spool.close();
    else spool.remove();
  }

  #settle(spool: Spool): void {
    this.#spools.delete(spool.intentId);
    this.#options.onSettled?.(spool.intentId);
  }

  async #deliver(spool: Spool, items: readonly NumberedItem[]): Promise<'arrived' | 'lost' | 'away'> {
    const { hostId, log } = this.#options;
    const holder: Holder = { intentId: spool.intentId, hostId, leaseEpoch: spool.leaseEpoch };
    crashPoint(`deliver-before:${items[0]?.item.type}`);
    try {
      const held = await this.#send(holder, items);
      crashPoint(`deliver-after:${items[0]?.item.type}`);
      // The intent may have been taken under a new epoch (by this agent) while the statement was under way.
      if (!held && spool.leaseEpoch !== holder.leaseEpoch) return 'away';
      if (!held && (await this.#options.database.attempt((sql) => isStillOurs(sql, holder)))) return 'away';
      if (!held)
        log.error(
          { intentId: spool.intentId, leaseEpoch: holder.leaseEpoch },
          'the lease is lost; what is spooled is set aside',
        );
      return held ? 'arrived' : 'lost';
    } catch (thrown) {
      const error = asRefloatError(thrown);
      if (error.code === 'DATABASE_UNAVAILABLE') return 'away';
      log.error({ intentId: spool.intentId, error: error.toJSON() }, 'Postgres refuses what is spooled');
      return this.#refused(spool, items, error);
    }
  }

  /** What Postgres will never take must not keep the outcome from arriving. */
  #refused(spool: Spool, items: readonly NumberedItem[], error: RefloatError): 'arrived' | 'away' {
    const [first] = items;
    if (first?.item.type === 'finish') {
      // An outcome is never dropped: said again with less in it, and if that is refused too, tried again for ever.
      if (first.item.outcome.result === null) return 'away';
      spool.append({ type: 'finish', outcome: { ...first.item.outcome, result: null } });
      spool.delivered(first.number);
      return 'away';
    }
    const lines = items.map((item) => `${JSON.stringify({ ...item.item, refusedWith: error.toJSON() })}\n`);
    const isAside = this.#onDisk(spool, () => {
      const directory = join(dirname(spool.path), 'refused');
      makeDirectoriesDurably(directory, 0o700);
      appendWhole(join(directory, `${spool.intentId}.jsonl`), lines.join(''));
    });
    return isAside ? 'arrived' : 'away';
  }

  async #send(holder: Holder, items: readonly NumberedItem[]): Promise<boolean> {
    const { database } = this.#options;
    const [first] = items;
    if (first === undefined) return true;
    switch (first.item.type) {
      case 'event': {
        const events = items.flatMap(({ item }) => (item.type === 'event' ? [item.event] : []));
        return database.attempt((sql) => appendEvents(sql, holder, events));
      }
      case 'snapshot': {
        const { snapshot } = first.item;
        return database.transaction(async (sql) => {
          if (!(await registerSnapshot(sql, holder, snapshot))) return false;
          await registerSnapshotVolumes(sql, holder, snapshot);
          return true;
        });
      }
      case 'snapshot-deleted': {
        const { snapshotId } = first.item;
        return database.attempt((sql) => markSnapshotDeleted(sql, holder, snapshotId));
      }
      case 'finish': {
        const { outcome } = first.item;
        return (await database.attempt((sql) => finishIntent(sql, holder, outcome))) !== 'lost';
      }
      default:
        return first.item satisfies never;
    }
  }
}

/** Events that follow each other go together; everything else goes by itself. */
function nextBatch(items: readonly NumberedItem[]): readonly NumberedItem[] {
  const firstOther = items.findIndex(({ item }) => item.type !== 'event');
  const events = firstOther === -1 ? items.length : firstOther;
  return items.slice(0, Math.max(1, Math.min(events, BATCH)));
}

/** All of it or nothing: what a full disk took of it is taken back. */
function appendWhole(path: string, text: string): void {
  const fd = openSync(path, 'a', 0o600);
  try {
    const { size } = fstatSync(fd);
    try {
      writeAll(fd, Buffer.from(text));
    } catch (error) {
      ftruncateSync(fd, size);
      throw error;
    }
  } finally {
    closeSync(fd);
  }
}
