/**
 * Compresses blocks to zstd frames on the thread pool, several at a time.
 *
 * Guarantees: each result is one frame with a checksum.
 * Does not guarantee: the size of level 3 for every block. Every few blocks both levels are tried, and the fast one is kept as long as it
 * made the tried block at most half a percent larger; the blocks between go by that. README.md has what was tried.
 */

import { NativeCompressor, nativeZstd } from './zstd-native.ts';
import { StreamCompressor } from './zstd-stream.ts';

const FAST = 1;
const USUAL = 3;
/** Blocks that go by what the last one tried has shown. */
const BLOCKS_PER_TRIAL = 16;
/** How much larger the fast level may make a block. */
const WORTH = 1.005;

/** One frame; `release` it when it was written. */
export interface Frame {
  readonly bytes: Buffer;
  release(): void;
}

export class FrameCompressor {
  readonly #maxBytes: number;
  readonly #idle: (NativeCompressor | StreamCompressor)[] = [];
  #blocks = 0;
  #level: typeof FAST | typeof USUAL = USUAL;

  /** @param maxBytes of a block */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  async compress(block: Buffer): Promise<Frame> {
    const trial = this.#blocks % BLOCKS_PER_TRIAL === 0;
    this.#blocks += 1;
    const compressor = this.#idle.pop() ?? this.#create();
    const fast = trial ? (await compressor.frame(block, FAST)).length : 0;
    const bytes = await compressor.frame(block, trial ? USUAL : this.#level);
    if (trial) this.#level = fast <= bytes.length * WORTH ? FAST : USUAL;
    return { bytes, release: () => void this.#idle.push(compressor) };
  }

  /** Call it when every frame was released. */
  close(): void {
    for (const compressor of this.#idle.splice(0)) compressor.close();
  }

  #create(): NativeCompressor | StreamCompressor {
    return nativeZstd === null ? new StreamCompressor() : new NativeCompressor(nativeZstd, this.#maxBytes);
  }
}
