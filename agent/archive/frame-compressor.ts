/**
 * Compresses blocks to zstd frames on the thread pool, several at a time.
 *
 * Guarantees: each result is one frame with a checksum.
 * Does not guarantee: the size of level 3 for every block. Every few blocks both levels are tried, and the fast one is kept as long as it
 * made the tried block at most half a percent larger; the blocks between go by that.
 * Tried: a compressor per frame, whose memory V8 takes for growth of the heap, so that it marks the whole heap every few frames: a
 * tenth of all CPU time. So compressors are kept. README.md has the numbers.
 */
// A namespace, so that an older Node can still load the program and hand over to a newer one.
import * as zlib from 'node:zlib';

const FAST = 1;
const USUAL = 3;
/** Blocks that go by what the last one tried has shown. */
const BLOCKS_PER_TRIAL = 16;
/** How much larger the fast level may make a block. */
const WORTH = 1.005;
/** Of the output, so that little of it is copied or left over. */
const CHUNK_BYTES = 2 * 1024 * 1024;

/** One frame, in pieces that follow each other. */
export type Frame = readonly Buffer[];

export const frameLength = (frame: Frame): number => frame.reduce((sum, piece) => sum + piece.length, 0);

export class FrameCompressor {
  readonly #idle: Readonly<Record<typeof FAST | typeof USUAL, KeptCompressor[]>> = { [FAST]: [], [USUAL]: [] };
  #blocks = 0;
  #level: typeof FAST | typeof USUAL = USUAL;

  async compress(block: Buffer): Promise<Frame> {
    const trial = this.#blocks % BLOCKS_PER_TRIAL === 0;
    this.#blocks += 1;
    if (!trial) return await this.#frame(block, this.#level);
    const usual = await this.#frame(block, USUAL);
    const fast = await this.#frame(block, FAST);
    this.#level = frameLength(fast) <= frameLength(usual) * WORTH ? FAST : USUAL;
    return usual;
  }

  close(): void {
    for (const compressor of [...this.#idle[FAST], ...this.#idle[USUAL]]) compressor.close();
  }

  async #frame(block: Buffer, level: typeof FAST | typeof USUAL): Promise<Frame> {
    const compressor = this.#idle[level].pop() ?? new KeptCompressor(level);
    const frame = await compressor.frame(block);
    this.#idle[level].push(compressor);
    return frame;
  }
}

class KeptCompressor {
  readonly #stream: zlib.ZstdCompress;
  #pieces: Buffer[] = [];

  constructor(level: number) {
    this.#stream = zlib.createZstdCompress({
      chunkSize: CHUNK_BYTES,
      // Every write is a frame of its own.
      flush: zlib.constants.ZSTD_e_end,
      params: { [zlib.constants.ZSTD_c_compressionLevel]: level, [zlib.constants.ZSTD_c_checksumFlag]: 1 },
    });
    this.#stream.on('data', (piece: Buffer) => this.#pieces.push(piece));
    // Whoever writes is told by the write's own callback.
    this.#stream.on('error', () => undefined);
  }

  async frame(block: Buffer): Promise<Frame> {
    this.#pieces = [];
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(block, (error) => (error ? reject(error) : resolve()));
    });
    // What the stream has not handed over yet comes through the listener now, so that no piece ends up in the next frame.
    while (this.#stream.read() !== null);
    return this.#pieces;
  }

  close(): void {
    this.#stream.destroy();
  }
}
