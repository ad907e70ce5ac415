/**
 * What the agent has to say of one intent, kept on the host until Postgres has it: `$REFLOAT_STATE_DIR/spool/<intent>.jsonl`.
 *
 * Guarantees: when `append` returns, the item survives the end of this process, and anything but an event is on the disk; after
 * `flush` events are too, and nothing is delivered before that. Items come back in their order, also after a crash; events are
 * numbered from 1 without a gap, across restarts. A torn last line, which a crash may leave, is dropped; what is read back is made
 * durable before it is believed.
 * Does not guarantee: durability on a disk that takes no more writes: then items are kept in memory, so that a full disk
 * silences nothing while the agent runs; the outcome of a journaled intent is in its journal too.
 */
import { closeSync, constants, existsSync, ftruncateSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isUuid } from '../../db/ids.ts';
import type { IntentEvent, Outcome, SnapshotRecord } from '../../db/results.ts';
import {
  identify,
  isNoSpace,
  makeDirectoriesDurably,
  removeFileDurably,
  renameDurably,
  syncDescriptor,
  syncDescriptorBeside,
  syncDirectory,
  writeAll,
  writeFileDurably,
} from '../fs/durable.ts';
import { Bell } from './bell.ts';

export type SpoolItem =
  | { readonly type: 'event'; readonly event: IntentEvent }
  | { readonly type: 'snapshot'; readonly snapshot: SnapshotRecord }
  | { readonly type: 'snapshot-deleted'; readonly snapshotId: string }
  | { readonly type: 'finish'; readonly outcome: Outcome };

type Line =
  /** First line, and again whenever the agent takes the intent under a new epoch. `lastSeq`: number of the last event so far. */
  | { readonly type: 'held'; readonly leaseEpoch: number; readonly lastSeq: number }
  /** How many items have been delivered. Written without a sync: delivering twice is harmless. */
  | { readonly type: 'delivered'; readonly count: number }
  | SpoolItem;

export interface NumberedItem {
  /** Counts from 1 within the spool. */
  readonly number: number;
  readonly item: SpoolItem;
}

const APPENDING = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;

function spoolDirectory(stateDir: string): string {
  return join(stateDir, 'spool');
}

/** Ids of the intents that have something to deliver, oldest first. */
export function listSpools(stateDir: string): string[] {
  const directory = spoolDirectory(stateDir);
  if (!existsSync(directory)) return [];
  const names = readdirSync(directory).filter((name) => name.endsWith('.jsonl'));
  return names
    .map((name) => name.slice(0, -6))
    .filter(isUuid)
    .sort();
}

export class Spool {
  readonly intentId: string;
  readonly path: string;
  /** Rings when there is something to deliver, or the epoch has changed. */
  readonly changed = new Bell();
  #fd: number;
  #leaseEpoch = 0;
  #lastSeq = 0;
  #items: SpoolItem[] = [];
  #delivered = 0;
  #writable = true;
  #unsynced = false;

  private constructor(intentId: string, path: string, fd: number) {
    this.intentId = intentId;
    this.path = path;
    this.#fd = fd;
  }

  /** Opens the spool of an intent, or begins it. */
  static open(stateDir: string, intentId: string): Spool {
    const path = join(spoolDirectory(stateDir), `${intentId}.jsonl`);
    makeDirectoriesDurably(dirname(path), 0o700);
    const created = !existsSync(path);
    const spool = new Spool(intentId, path, openSync(path, APPENDING, 0o600));
    try {
      if (created) syncDirectory(dirname(path));
      else spool.#load();
    } catch (error) {
      spool.close();
      throw error;
    }
    return spool;
  }

  /** What a spool holds, without touching it: for `status`, while an agent may be writing. */
  static peek(
    stateDir: string,
    intentId: string,
  ): { readonly intentId: string; readonly leaseEpoch: number; readonly undelivered: number } {
    const path = join(spoolDirectory(stateDir), `${intentId}.jsonl`);
    const spool = new Spool(intentId, path, -1);
    spool.#replayAll(existsSync(path) ? readFileSync(path) : Buffer.alloc(0));
    return { intentId, leaseEpoch: spool.leaseEpoch, undelivered: spool.undelivered.length };
  }

  get leaseEpoch(): number {
    return this.#leaseEpoch;
  }

  get undelivered(): readonly NumberedItem[] {
    return this.#items.slice(this.#delivered).map((item, index) => ({ number: this.#delivered + index + 1, item }));
  }

  /** The outcome that was spooled last. */
  get outcome(): Outcome | null {
    const finish = this.#items.findLast((item) => item.type === 'finish');
    return finish?.outcome ?? null;
  }

  get isDelivered(): boolean {
    return this.#delivered === this.#items.length;
  }

  /** From now on the intent is held under this epoch, and Postgres has events up to `lastSeq`. */
  hold(leaseEpoch: number, lastSeq: number): void {
    this.#leaseEpoch = leaseEpoch;
    this.#lastSeq = Math.max(this.#lastSeq, lastSeq);
    this.#write({ type: 'held', leaseEpoch, lastSeq: this.#lastSeq }, true);
    this.changed.ring();
  }

  /** @param quietly delivered with what comes next */
  emit(type: IntentEvent['type'], data: IntentEvent['data'], at: Date, quietly = false): void {
    this.#append({ type: 'event', event: { seq: this.#lastSeq + 1, at: at.toISOString(), type, data } }, quietly);
  }

  append(item: SpoolItem): void {
    this.#append(item, false);
  }

  #append(item: SpoolItem, quietly: boolean): void {
    if (item.type === 'event') this.#lastSeq = item.event.seq;
    this.#items.push(item);
    // An event need not wait for the disk: containers may be stopped while it is told.
    this.#write(item, item.type !== 'event');
    if (!quietly) this.changed.ring();
  }

  /** Makes every event so far durable, beside other work. */
  async flush(): Promise<void> {
    if (!this.#writable || !this.#unsynced) return;
    this.#unsynced = false;
    try {
      await syncDescriptorBeside(this.#fd, this.path);
    } catch {
      this.#writable = false;
    }
  }

  /** Everything up to this number has arrived. */
  delivered(number: number): void {
    this.#delivered = Math.max(this.#delivered, number);
    this.#write({ type: 'delivered', count: this.#delivered }, false);
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#writable = false;
  }

  /** Everything has arrived and nothing more will come. */
  remove(): void {
    this.close();
    removeFileDurably(this.path);
  }

  /** Postgres takes nothing of it (another holder): kept for people, never delivered. May be repeated. */
  setAside(): void {
    this.close();
    const lost = join(dirname(this.path), 'lost');
    makeDirectoriesDurably(lost, 0o700);
    if (identify(this.path) !== null) {
      renameDurably(this.path, join(lost, `${this.intentId}.jsonl`));
      return;
    }
    // It was moved, and that is not known to be durable.
    syncDirectory(lost);
    syncDirectory(dirname(this.path));
  }

  #write(line: Line, sync: boolean): void {
    if (!this.#writable) return;
    try {
      writeAll(this.#fd, Buffer.from(`${JSON.stringify(line)}\n`));
      if (sync) syncDescriptor(this.#fd, this.path);
      this.#unsynced = !sync;
    } catch {
      // After a failed write or fsync nobody knows what is in the file: nothing more is added behind it.
      this.#writable = false;
    }
  }

  #load(): void {
    const bytes = readFileSync(this.#fd);
    const whole = bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1);
    this.#writeAnew(whole);
    this.#replayAll(whole);
  }

  /**
   * A process that was killed before its sync, or whose sync failed, has left lines in the page cache alone: delivered, and then lost
   * with the power, their numbers would be given to other events.
   */
  #writeAnew(whole: Buffer): void {
    try {
      writeFileDurably(this.path, whole, `${this.path}.new`);
    } catch (error) {
      // A full disk still takes the sync of what is there, and a failed one is no reason to ask for more than that.
      if (!isNoSpace(error)) throw error;
      ftruncateSync(this.#fd, whole.length);
      syncDescriptor(this.#fd, this.path);
      return;
    }
    const fd = openSync(this.path, APPENDING, 0o600);
    closeSync(this.#fd);
    this.#fd = fd;
  }

  #replayAll(bytes: Buffer): void {
    for (const text of bytes.toString('utf8').split('\n')) {
      if (text !== '') this.#replay(parseLine(text));
    }
    this.#delivered = Math.min(this.#delivered, this.#items.length);
  }

  #replay(line: Line | null): void {
    if (line === null) return;
    switch (line.type) {
      case 'held':
        this.#leaseEpoch = line.leaseEpoch;
        this.#lastSeq = Math.max(this.#lastSeq, line.lastSeq);
        return;
      case 'delivered':
        this.#delivered = line.count;
        return;
      case 'event':
        this.#lastSeq = Math.max(this.#lastSeq, line.event.seq);
        this.#items.push(line);
        return;
      default:
        this.#items.push(line);
    }
  }
}

/** A line that a dying disk spoiled is left out rather than keeping all the others from being delivered. */
function parseLine(text: string): Line | null {
  try {
    const line = JSON.parse(text) as Line | null;
    return typeof line === 'object' && line !== null && typeof line.type === 'string' ? line : null;
  } catch {
    return null;
  }
}
