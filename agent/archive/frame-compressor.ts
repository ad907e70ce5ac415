/**
 * Compresses blocks to zstd frames on the thread pool, several at a time.
 *
 * Guarantees: each result is one frame with a checksum.
 */
import { FrameLevel } from './frame-level.ts';
import { NativeCompressor, nativeZstd } from './zstd-native.ts';
import { StreamCompressor } from './zstd-stream.ts';

/** One frame; `release` it when it was written. */
export interface Frame {
  readonly bytes: Buffer;
  release(): void;
}

export class FrameCompressor {
  readonly #maxBytes: number;
  readonly #zstd: typeof nativeZstd;
  readonly #idle: (NativeCompressor | StreamCompressor)[] = [];
  readonly #level = new FrameLevel();

  /** @param maxBytes of a block; @param zstd null for node:zlib's streams */
  constructor(maxBytes: number, zstd = nativeZstd) {
    this.#maxBytes = maxBytes;
    this.#zstd = zstd;
  }

  async compress(block: Buffer): Promise<Frame> {
    const compressor = this.#idle.pop() ?? this.#create();
    const lengths: number[] = [];
    let bytes = block;
    for (const level of this.#level.next()) {
      bytes = await compressor.frame(block, level);
      lengths.push(bytes.length);
    }
    this.#level.learn(lengths);
    return { bytes, release: () => void this.#idle.push(compressor) };
  }

  /** Call it when every frame was released. */
  close(): void {
    for (const compressor of this.#idle.splice(0)) compressor.close();
  }

  #create(): NativeCompressor | StreamCompressor {
    return this.#zstd === null ? new StreamCompressor() : new NativeCompressor(this.#zstd, this.#maxBytes);
  }
}
