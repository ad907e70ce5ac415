/**
 * The journal of one intent: what was done on this host, and the only thing that recovery believes.
 *
 * Guarantees: when `append` returns, the records are on the disk, and so is what `appendLater` was given before; records are read
 * back in the order and with the content in which they were appended, or reading fails with `JOURNAL_DAMAGED`; a torn last
 * record, which a crash may leave, is dropped and the file is cut back to the last whole one.
 * Does not guarantee: that a record whose `append` threw is not there. After a throw the journal takes no more records;
 * only recovery, which reads the file again, may go on.
 *
 * One JSON object a line: `{"crc":"…","seq":n,…}`. The CRC-32C covers the line without its `crc` member, and the intent's
 * id is in every record, so a record that was copied from another journal is found out.
 */
import { closeSync, constants, ftruncateSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ErrorJson, RefloatError } from '../../db/errors.ts';
import type { Outcome } from '../../db/results.ts';
import { isNoSpace, syncDescriptor, syncDirectory, writeAll, writeFileDurably } from '../fs/durable.ts';
import type { ClaimedIntent } from '../intents/claimed-intent.ts';
import { crashPoint } from './crash-point.ts';
import { crc32c } from './crc32c.ts';

/** Version of the records; a journal of a newer one is `JOURNAL_DAMAGED`, since its meaning is unknown. */
export const JOURNAL_VERSION = 1;

export type JournalRecord =
  /** First record. Everything that the work needs, so that recovery asks nobody. */
  | { readonly type: 'begin'; readonly version: number; readonly intent: ClaimedIntent }
  | { readonly type: 'started'; readonly step: string }
  | { readonly type: 'done'; readonly step: string; readonly ms: number; readonly fact: unknown }
  /** A step says that its failure does not matter to the outcome. */
  | { readonly type: 'warned'; readonly step: string; readonly ms: number; readonly error: ErrorJson }
  /** Named in the result (guarantee 10). */
  | { readonly type: 'warning'; readonly message: string }
  /** Something that a step must remember before it goes on. */
  | { readonly type: 'note'; readonly name: string; readonly fact: unknown }
  /** The commit point ("swap started"): from here on recovery rolls forward. */
  | { readonly type: 'commit' }
  /** From here on recovery takes back what was done, committed or not. */
  | { readonly type: 'unwind'; readonly state: Unwound; readonly error: ErrorJson & { readonly step?: string } }
  | { readonly type: 'undone'; readonly step: string }
  | { readonly type: 'outcome'; readonly outcome: Outcome }
  /** The previous trees can be handed to no undo any more: they go, or are somebody else's. */
  | { readonly type: 'released'; readonly why: Released; readonly by?: string };

/** Their window was over, an undo took them over, the disk ran low, or a person took charge of them (resolve.ts). */
export type Released = 'expired' | 'adopted' | 'low-disk' | 'resolved';

/** States of an intent that took back what it did, or did nothing. */
export type Unwound = Extract<Outcome['state'], 'failed' | 'rolled_back' | 'cancelled'>;

export type Stamped<T extends JournalRecord = JournalRecord> = T & {
  readonly seq: number;
  readonly id: string;
  readonly at: string;
};

export class Journal {
  readonly path: string;
  readonly intentId: string;
  readonly #records: Stamped[];
  readonly #now: () => Date;
  /** When this process made its notes, by name, on the clock of `performance.now()`. */
  readonly #noted = new Map<string, number>();
  #fd: number;
  #broken = false;

  private constructor(path: string, intentId: string, fd: number, records: Stamped[], now: () => Date) {
    this.path = path;
    this.intentId = intentId;
    this.#fd = fd;
    this.#records = records;
    this.#now = now;
  }

  /** Creates the journal of an intent with its first record. Throws if there is one already. */
  static create(path: string, intent: ClaimedIntent, now: () => Date): Journal {
    const fd = openSync(
      path,
      constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND | constants.O_NOFOLLOW,
      0o600,
    );
    const journal = new Journal(path, intent.id, fd, [], now);
    try {
      journal.append({ type: 'begin', version: JOURNAL_VERSION, intent });
      syncDirectory(dirname(path));
      return journal;
    } catch (error) {
      journal.close();
      throw error;
    }
  }

  /**
   * Opens the journal of an intent that was begun before, without a torn last record. What it holds is durable afterwards, although the
   * process that wrote it may have been killed before its sync, or its sync have failed: it is written anew.
   * @throws RefloatError `JOURNAL_DAMAGED`
   */
  static open(path: string, intentId: string, now: () => Date): Journal {
    const { records, whole } = readWhole(path, intentId);
    try {
      writeFileDurably(path, whole, `${path}.new`);
    } catch (error) {
      // A full disk still takes the sync of what is there, and a failed one is no reason to ask for more than that.
      if (!isNoSpace(error)) throw error;
      syncWhole(path, whole.length);
    }
    return new Journal(path, intentId, openSync(path, APPENDING), records, now);
  }

  get records(): readonly Stamped[] {
    return this.#records;
  }

  /** Makes records durable with one write and one sync. A crash in between leaves the first ones of them, or none. */
  append(...records: readonly JournalRecord[]): void {
    this.#write(records, true);
  }

  /**
   * Adds a record that is durable with the one that follows it: for what nothing is done on the strength of before that. A
   * step whose end was lost is run again.
   */
  appendLater(record: JournalRecord): void {
    this.#write([record], false);
  }

  /**
   * Milliseconds since something was noted, never below 0: by a clock that nobody sets, unless another process made the note. Then
   * there is only the time of day.
   */
  msSinceNote(name: string): number {
    const noted = this.#noted.get(name);
    if (noted !== undefined) return Math.round(performance.now() - noted);
    const note = this.#records.findLast((record) => record.type === 'note' && record.name === name);
    if (note === undefined) throw new Error(`the journal ${this.path} has no note "${name}"`);
    return Math.max(0, this.#now().getTime() - Date.parse(note.at));
  }

  #write(records: readonly JournalRecord[], sync: boolean): void {
    if (this.#broken) throw new Error(`the journal ${this.path} takes no more records after a failed write`);
    const at = this.#now().toISOString();
    const began = performance.now();
    const stamped = records.map(
      (record, index): Stamped => ({ seq: this.#records.length + 1 + index, id: this.intentId, at, ...record }),
    );
    for (const record of records) crashPoint(`journal-before:${describe(record)}`);
    this.#broken = true;
    writeAll(this.#fd, Buffer.from(stamped.map(encode).join('')));
    if (sync) syncDescriptor(this.#fd, this.path);
    this.#broken = false;
    this.#records.push(...stamped);
    for (const record of records) if (record.type === 'note') this.#noted.set(record.name, began);
    for (const record of records) crashPoint(`journal-after:${describe(record)}`);
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

function describe(record: JournalRecord): string {
  if ('step' in record) return `${record.type}:${record.step}`;
  return record.type === 'note' ? `note:${record.name}` : record.type;
}

function encode(record: Stamped): string {
  const body = JSON.stringify(record);
  return `{"crc":"${crc32c(Buffer.from(body))}",${body.slice(1)}\n`;
}

const APPENDING = constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW;

function readWhole(path: string, intentId: string): { records: Stamped[]; whole: Buffer } {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const bytes = readFileSync(fd);
    const { records, wholeBytes } = readRecords(bytes, path, intentId);
    return { records, whole: bytes.subarray(0, wholeBytes) };
  } finally {
    closeSync(fd);
  }
}

function syncWhole(path: string, length: number): void {
  const fd = openSync(path, APPENDING);
  try {
    ftruncateSync(fd, length);
    syncDescriptor(fd, path);
  } finally {
    closeSync(fd);
  }
  syncDirectory(dirname(path));
}

const PREFIX = /^\{"crc":"([0-9a-f]{8})",/;

/**
 * Reads the records of a journal. A last line without its newline, or the last line with a wrong checksum, was torn by a
 * crash: its `append` never returned, so nothing was done on the strength of it.
 * @throws RefloatError `JOURNAL_DAMAGED` when an earlier record is damaged, missing, doubled, out of order or another intent's
 */
export function readRecords(bytes: Buffer, path: string, intentId: string): { records: Stamped[]; wholeBytes: number } {
  const records: Stamped[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const end = bytes.indexOf(0x0a, offset);
    if (end === -1) {
      assertOneRecord(bytes.subarray(offset), path, records.length);
      break;
    }
    const record = decode(bytes.subarray(offset, end));
    if (record === undefined) {
      assertOneRecord(bytes.subarray(offset, end), path, records.length);
      if (end === bytes.length - 1) break;
      throw damaged(path, `record ${records.length + 1} has a wrong checksum`);
    }
    if (record.seq !== records.length + 1)
      throw damaged(path, `record ${records.length + 1} has the number ${record.seq}`);
    if (record.id !== intentId) throw damaged(path, `record ${record.seq} belongs to the intent ${record.id}`);
    records.push(record);
    offset = end + 1;
  }
  const first = records[0];
  if (first !== undefined && (first.type !== 'begin' || first.version !== JOURNAL_VERSION)) {
    throw damaged(path, 'its first record is not one that this version understands');
  }
  return { records, wholeBytes: offset };
}

/** A torn append is a part of one record; two in one line mean that the newline between them was damaged later. */
function assertOneRecord(line: Buffer, path: string, before: number): void {
  if (line.indexOf('{"crc":"', 1) !== -1)
    throw damaged(path, `records ${before + 1} and ${before + 2} have run together`);
}

function decode(line: Buffer): Stamped | undefined {
  const match = PREFIX.exec(line.toString('latin1', 0, 32));
  if (match === null) return undefined;
  const body = Buffer.concat([Buffer.from('{'), line.subarray(match[0].length)]);
  if (crc32c(body) !== match[1]) return undefined;
  return JSON.parse(body.toString()) as Stamped;
}

function damaged(path: string, what: string): RefloatError {
  return new RefloatError('JOURNAL_DAMAGED', `the journal ${path} is damaged: ${what}`, {
    hint: 'Nothing was changed or deleted. Compare the live and the staged directories that the journal names by hand, put the one that you want in place, then run "refloat-agent resolve INTENT --keep": it puts the journal aside.',
    disposition: 'stuck',
    details: { path },
  });
}
