/**
 * Writes a tar as independent zstd frames, compressed on the thread pool while the next block is being filled.
 *
 * Guarantees: frames with checksum, in order; bounded memory; SHA-256 of what lies on disk; the file is fsynced by `finish`. Every
 * 2 MiB of tar take at least 1/150 on disk (a skippable frame fills up), so that our own archives never meet the extractor's ratio limit.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, write } from 'node:fs';
import { promisify } from 'node:util';
import { syncDescriptor } from '../fs/durable.ts';
import { type Frame, FrameCompressor } from './frame-compressor.ts';
import { O, writeBackAside } from './syscalls.ts';

const writeAsync = promisify(write);

/** Frames of this size cost one part in a thousand; larger ones cost memory. */
const BLOCK_BYTES = 2 * 1024 * 1024;
const MAX_IN_FLIGHT = 3;
const MIN_RATIO = 150;
/** After so many the disk is told to begin, so that the sync at the end has little left to wait for. */
const WRITE_BACK_BYTES = 16 * 1024 * 1024;

export class FrameSink {
  readonly #fd: number;
  readonly #path: string;
  readonly #hash = createHash('sha256');
  readonly #compressor = new FrameCompressor(BLOCK_BYTES);
  readonly #pool: Buffer[] = [];
  #inFlight: Promise<void>[] = [];
  #written: Promise<void> = Promise.resolve();
  #failure: unknown = null;
  #block: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #used = 0;
  #bytes = 0;
  #toldBytes = 0;
  #writeBack: Promise<void> = Promise.resolve();

  /** @param path an empty file that the agent made */
  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, O.WRONLY | O.NOFOLLOW);
  }

  /** Bytes on disk so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The current block and how far it is filled, for those who know that what they have fits; then `advance`. */
  room(): { readonly block: Buffer; readonly used: number } {
    return { block: this.#block, used: this.#used };
  }

  /** Free part of the current block, to read into; then `advance`. Never empty. */
  space(): Buffer {
    return this.#block.subarray(this.#used);
  }

  /** True when the block is full: then `await flush()` before anything else. */
  advance(count: number): boolean {
    this.#used += count;
    return this.#used === BLOCK_BYTES;
  }

  async write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const count = bytes.copy(this.#block, this.#used, at);
      at += count;
      if (this.advance(count)) await this.flush();
    }
  }

  /** Hands the block to the compressor; waits only while too many are under way. */
  async flush(): Promise<void> {
    if (this.#used === 0) return;
    const block = this.#block;
    const compressed = this.#compressor.compress(block.subarray(0, this.#used)).finally(() => this.#pool.push(block));
    await this.#append(compressed, this.#used);
    this.#block = this.#pool.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#used = 0;
  }

  /** What someone else has compressed from `length` bytes: one frame. */
  async frame(frame: Frame, length: number): Promise<void> {
    await this.flush();
    await this.#append(Promise.resolve(frame), length);
  }

  async #append(compressed: Promise<Frame>, length: number): Promise<void> {
    const before = this.#written;
    this.#written = (async (): Promise<void> => {
      const [frame] = await Promise.all([compressed, before]);
      await this.#put(frame.bytes);
      const missing = Math.ceil(length / MIN_RATIO) - frame.bytes.length;
      frame.release();
      if (missing > 0) await this.#put(skippable(missing));
    })();
    this.#written.catch((error: unknown) => {
      this.#failure ??= error;
    });
    this.#inFlight.push(this.#written);
    if (this.#inFlight.length >= MAX_IN_FLIGHT) await this.#inFlight.shift();
    if (this.#failure !== null) throw this.#failure;
  }

  /** Durable when it returns. */
  async finish(): Promise<{ sha256: string; archiveBytes: number }> {
    await this.flush();
    await this.#written;
    await this.#writeBack;
    this.#compressor.close();
    syncDescriptor(this.#fd, this.#path);
    closeSync(this.#fd);
    return { sha256: this.#hash.digest('hex'), archiveBytes: this.#bytes };
  }

  /** Waits for what is under way, so that nothing writes to a descriptor that someone else got. */
  async abort(): Promise<void> {
    await Promise.allSettled([...this.#inFlight, this.#written]);
    await this.#writeBack;
    this.#compressor.close();
    closeSync(this.#fd);
  }

  async #put(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes);
    // On the thread pool too: copying into the page cache takes as long as hashing.
    for (let at = 0; at < bytes.length; )
      at += (await writeAsync(this.#fd, bytes, at, bytes.length - at, null)).bytesWritten;
    this.#bytes += bytes.length;
    if (this.#bytes - this.#toldBytes < WRITE_BACK_BYTES) return;
    const offset = this.#toldBytes;
    const bytesToWrite = this.#bytes - offset;
    this.#writeBack = this.#writeBack.then(() => writeBackAside(this.#fd, offset, bytesToWrite));
    this.#toldBytes = this.#bytes;
  }
}

/** A frame that every decoder skips; `size` bytes of content. */
function skippable(size: number): Buffer {
  const frame = Buffer.alloc(8 + size);
  frame.writeUInt32LE(0x184d2a50, 0);
  frame.writeUInt32LE(size, 4);
  return frame;
}
