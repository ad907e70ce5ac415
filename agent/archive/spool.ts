/**
 * Records put aside until the end of an extraction, such as symlinks and the times of directories.
 *
 * Guarantees: a million records take a few MiB, since full blocks are kept compressed; they come back in the order they came.
 */
import * as zlib from 'node:zlib';

const BLOCK_BYTES = 262_144;

export class Spool<T> {
  readonly #blocks: Buffer[] = [];
  #open: string[] = [];
  #openBytes = 0;
  #length = 0;

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
    this.#blocks.push(zlib.zstdCompressSync(Buffer.from(this.#open.join('\n'), 'utf8')));
    this.#open = [];
    this.#openBytes = 0;
  }
}
