/** Ends the decompression of what is small to be large. */
import { refusal } from './refusal.ts';

const RATIO_WINDOW = 64 * 1024 * 1024;

/** Compressed bytes that were consumed against bytes that came out. */
export class RatioGuard {
  readonly #max: number;
  /** Consumed by decompressors that have ended. */
  #before = 0;
  #mark = 0;
  #out = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** @param consumed by the current decompressor, so far */
  gave(bytes: number, consumed: number): void {
    this.#out += bytes;
    if (this.#out < RATIO_WINDOW) return;
    const total = this.#before + consumed;
    if ((total - this.#mark) * this.#max < this.#out)
      throw refusal(
        'ARCHIVE_LIMIT',
        'ratio',
        `the archive decompresses to more than ${this.#max} times its size over 64 MiB`,
      );
    this.#mark = total;
    this.#out = 0;
  }

  ended(consumed: number): void {
    this.#before += consumed;
  }
}
