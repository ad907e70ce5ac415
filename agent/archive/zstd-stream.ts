/** The same as zstd-native.ts by node:zlib: slower, since what goes through its streams is copied twice and collected. */
// A namespace, so that an older Node can still load the program and hand over to a newer one.
import * as zlib from 'node:zlib';

const CHUNK_BYTES = 2 * 1024 * 1024;

export class StreamCompressor {
  /** By level. A stream that is kept: V8 takes the memory of a new one for growth of the heap, and marks all of it every few frames. */
  readonly #streams = new Map<number, zlib.ZstdCompress>();
  #pieces: Buffer[] = [];

  /** One frame. */
  async frame(block: Buffer, level: number): Promise<Buffer> {
    const stream = this.#streams.get(level) ?? this.#create(level);
    this.#pieces = [];
    await new Promise<void>((resolve, reject) => {
      stream.write(block, (error) => (error ? reject(error) : resolve()));
    });
    // What the stream has not handed over yet comes through the listener now, so that no piece ends up in the next frame.
    while (stream.read() !== null);
    return Buffer.concat(this.#pieces);
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.destroy();
  }

  #create(level: number): zlib.ZstdCompress {
    const stream = zlib.createZstdCompress({
      chunkSize: CHUNK_BYTES,
      // Every write is a frame of its own.
      flush: zlib.constants.ZSTD_e_end,
      params: { [zlib.constants.ZSTD_c_compressionLevel]: level, [zlib.constants.ZSTD_c_checksumFlag]: 1 },
    });
    stream.on('data', (piece: Buffer) => this.#pieces.push(piece));
    // Whoever writes is told by the write's own callback.
    stream.on('error', () => undefined);
    this.#streams.set(level, stream);
    return stream;
  }
}
