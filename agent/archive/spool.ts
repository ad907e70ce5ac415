/**
 * Records put aside until the end of an extraction, such as symlinks and the times of directories.
 *
 * Guarantees: a million records take a few MiB, since full blocks are kept compressed; they come back in the order they came; what does
 * not compress is refused when all spools of a budget together take more than 64 MiB.
 */
import * as zlib from 'node:zlib';
import { refusal } from './refusal.ts';

const BLOCK_BYTES = 262_144;
const MAX_BYTES = 64 * 1024 * 1024;

/** What all spools of one extraction may take together. */
export class SpoolBudget {
  #left = MAX_BYTES;

  /** @throws RefloatError ARCHIVE_LIMIT */
  take(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0)
      throw refusal('ARCHIVE_LIMIT', 'metadata', 'the links and directories of the archive have too much metadata');
  }
}

export class Spool<T> {
  readonly #blocks: Buffer[] = [];
  #open: string[] = [];
  #openBytes = 0;
  #length = 0;
  readonly #budget: SpoolBudget;

  constructor(budget: SpoolBudget) {
    this.#budget = budget;
  }

  get length(): number {
    return this.#length;
  }

  push(record: T): void {
    const text = JSON.stringify(record);
    this.#open.push(text);
    this.#openBytes += text.length;
    this.#length += 1;
    if (this.#openBytes >= BLOCK_BYTES) this.#seal();
  }

  *[Symbol.iterator](): Generator<T> {
    for (const block of this.#blocks)
      for (const line of zlib.zstdDecompressSync(block).toString('utf8').split('\n')) yield JSON.parse(line) as T;
    for (const line of this.#open) yield JSON.parse(line) as T;
  }

  #seal(): void {
    // JSON escapes newlines, so a newline separates.
    const block = zlib.zstdCompressSync(Buffer.from(this.#open.join('\n'), 'utf8'));
    this.#budget.take(block.length);
    this.#blocks.push(block);
    this.#open = [];
    this.#openBytes = 0;
  }
}
