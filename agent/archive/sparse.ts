/**
 * Maps of sparse files: old GNU headers, pax 0.0, 0.1 and 1.0.
 *
 * Guarantees: segments ascend without overlap, lie inside the file, and add up to exactly the bytes that the archive holds.
 */
import { BLOCK } from './header.ts';
import { parseDecimal, parseNumber } from './numbers.ts';
import { refusal } from './refusal.ts';

/** Where the data of a sparse file goes. */
export interface SparseMap {
  readonly realSize: number;
  /** Offset, length, offset, length, … */
  readonly segments: readonly number[];
}

/** Bounds memory: 16 bytes each. */
export const MAX_SEGMENTS = 1_000_000;

const malformed = (entry: string): Error =>
  refusal('ARCHIVE_REFUSED', 'sparse-map', 'the map of a sparse file is malformed', entry);

/** Checks a map against the bytes that follow in the archive. */
export function checkSparse(segments: number[], realSize: number, dataBytes: number, entry: string): SparseMap {
  if (segments.length % 2 !== 0) throw malformed(entry);
  if (segments.length / 2 > MAX_SEGMENTS)
    throw refusal('ARCHIVE_LIMIT', 'sparse-segments', 'a sparse file has too many segments', entry);
  let position = 0;
  let sum = 0;
  for (let index = 0; index < segments.length; index += 2) {
    const offset = segments[index] ?? -1;
    const length = segments[index + 1] ?? -1;
    if (offset < position || length < 0 || !Number.isSafeInteger(offset + length) || offset + length > realSize)
      throw malformed(entry);
    position = offset + length;
    sum += length;
  }
  if (sum !== dataBytes || realSize < 0) throw malformed(entry);
  return { realSize, segments: segments.filter((_, index) => (segments[index | 1] ?? 0) > 0) };
}

/** Reads `count` pairs of 12-byte numbers; stops at the first empty one, after which all must be empty. */
export function readOldGnuPairs(block: Buffer, offset: number, count: number, into: number[], entry: string): void {
  let ended = false;
  for (let index = 0; index < count; index += 1) {
    const at = offset + index * 24;
    if (block[at + 12] === 0) {
      ended = true;
      continue;
    }
    const start = parseNumber(block, at, 12);
    const length = parseNumber(block, at + 12, 12);
    if (ended || start === null || length === null) throw malformed(entry);
    into.push(start, length);
  }
}

/** Whether another block of the map follows this header or extension block. */
export const oldGnuExtended = (block: Buffer, first: boolean): boolean => block[first ? 482 : 504] !== 0;

export function oldGnuRealSize(block: Buffer, entry: string): number {
  const size = parseNumber(block, 483, 12);
  if (size === null || size < 0) throw malformed(entry);
  return size;
}

/** Pax 0.1: `offset,length,offset,length`. */
export function parseSparseList(text: string, entry: string): number[] {
  if (text === '') return [];
  return text.split(',').map((part) => {
    const value = parseDecimal(part);
    if (value === null) throw malformed(entry);
    return value;
  });
}

/** Pax 1.0: the map leads the data, one decimal per line, padded to whole blocks. Feeds on blocks until it is complete. */
export class SparseMapReader {
  readonly segments: number[] = [];
  readonly #entry: string;
  #count = -1;
  #digits = '';

  constructor(entry: string) {
    this.#entry = entry;
  }

  /** True when the map is complete; the rest of the block is padding. */
  push(block: Buffer): boolean {
    for (let index = 0; index < BLOCK; index += 1) {
      const byte = block[index] ?? 0;
      if (byte !== 0x0a) {
        this.#digits += String.fromCharCode(byte);
        if (this.#digits.length > 20) throw malformed(this.#entry);
        continue;
      }
      const value = parseDecimal(this.#digits);
      this.#digits = '';
      if (value === null) throw malformed(this.#entry);
      if (this.#count < 0) {
        if (value > MAX_SEGMENTS)
          throw refusal('ARCHIVE_LIMIT', 'sparse-segments', 'a sparse file has too many segments', this.#entry);
        this.#count = value;
      } else this.segments.push(value);
      if (this.segments.length === this.#count * 2) {
        for (let rest = index + 1; rest < BLOCK; rest += 1) if (block[rest] !== 0) throw malformed(this.#entry);
        return true;
      }
    }
    return false;
  }
}
