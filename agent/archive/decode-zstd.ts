/**
 * Zstd as Refloat reads it.
 *
 * Guarantees: what zstd-frames.ts does, which sees every byte before the decompressor does; both ways refuse the same archives.
 */
// A namespace, so that an older Node can still load the program and hand over to a newer one.
import * as zlib from 'node:zlib';
import { type ArchiveFile, portions } from './archive-file.ts';
import type { RatioGuard } from './ratio-guard.ts';
import { refusal } from './refusal.ts';
import { Rotation } from './rotation.ts';
import { codecError, FEED_BYTES, pump, STREAM_OPTIONS } from './zlib-pump.ts';
import { ZstdFrames } from './zstd-frames.ts';
import { NativeDecoder, nativeZstdDecoder, type ZstdDecoder } from './zstd-native-decoder.ts';

/** What a frame of our own captures holds at most: zstd writes a whole one without a copy where there is room for it. */
const OUTPUT_BYTES = 3 * 1_048_576;
const INPUT_BYTES = 7 * 1_048_576;
/** Such a frame that did not compress has this, or less. */
const WHOLE_FRAME_BYTES = OUTPUT_BYTES + 65_536;
/** With less room than this it is better to begin the next frame in the next piece. */
const USUAL_FRAME_BYTES = 2 * 1_048_576;

export function decodeZstd(file: ArchiveFile, first: Buffer, guard: RatioGuard): AsyncGenerator<Buffer> {
  return nativeZstdDecoder === null
    ? decodeZstdByStream(file, first, guard)
    : decodeZstdNatively(nativeZstdDecoder, new ZstdInput(file, first), guard);
}

interface Piece {
  readonly bytes: Buffer;
  /** Of the file, up to here. */
  readonly consumed: number;
}

/** One piece is decompressed while the one before is read. */
async function* decodeZstdNatively(zstd: ZstdDecoder, input: ZstdInput, guard: RatioGuard): AsyncGenerator<Buffer> {
  const decoder = new NativeDecoder(zstd);
  const outputs = new Rotation(OUTPUT_BYTES, 1);
  let ahead = fill(outputs.next(), decoder, input);
  try {
    for (let piece = await ahead; piece.bytes.length > 0; piece = await ahead) {
      guard.gave(piece.bytes.length, piece.consumed);
      ahead = fill(outputs.next(), decoder, input);
      // Whoever asks for it is told.
      ahead.catch(() => undefined);
      yield piece.bytes;
    }
  } finally {
    await ahead.catch(() => undefined);
    decoder.close();
  }
  input.finish();
}

/** Empty at the end of the archive. */
async function fill(output: Buffer, decoder: NativeDecoder, input: ZstdInput): Promise<Piece> {
  let used = 0;
  while (used < output.length) {
    const bytes = input.peek();
    if (bytes.length === 0 && decoder.atFrameEnd) break;
    const { consumed, produced } = await decoder.step(bytes, output.subarray(used));
    input.take(consumed);
    used += produced;
    if (decoder.atFrameEnd && used > 0 && output.length - used < USUAL_FRAME_BYTES) break;
    if (consumed === 0 && produced === 0)
      throw refusal('ARCHIVE_TRUNCATED', 'truncated-compression', 'the compressed archive ends early');
  }
  return { bytes: output.subarray(0, used), consumed: input.taken };
}

/** The file in a buffer that holds at least a whole frame of ours, as long as there is one. */
class ZstdInput {
  readonly #file: ArchiveFile;
  readonly #frames = new ZstdFrames();
  readonly #buffer = Buffer.allocUnsafeSlow(INPUT_BYTES);
  #start = 0;
  #end: number;
  #ended = false;
  taken = 0;

  constructor(file: ArchiveFile, first: Buffer) {
    this.#file = file;
    this.#end = first.copy(this.#buffer);
    this.#frames.push(first);
  }

  /** What comes next; empty at the end of the file. */
  peek(): Buffer {
    if (this.#end - this.#start < WHOLE_FRAME_BYTES && !this.#ended) this.#read();
    return this.#buffer.subarray(this.#start, this.#end);
  }

  take(bytes: number): void {
    this.#start += bytes;
    this.taken += bytes;
  }

  /** Call it when everything was taken. */
  finish(): void {
    this.#frames.finish();
  }

  #read(): void {
    this.#buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    const room = this.#buffer.subarray(this.#end);
    const length = this.#file.readInto(room);
    this.#ended = length < room.length;
    this.#end += length;
    this.#frames.push(room.subarray(0, length));
  }
}

/** By node:zlib, for a Node that does not export its zstd. */
export async function* decodeZstdByStream(file: ArchiveFile, first: Buffer, guard: RatioGuard): AsyncGenerator<Buffer> {
  const frames = new ZstdFrames();
  const input = portions(file, first, FEED_BYTES);
  const stream = zlib.createZstdDecompress({
    ...STREAM_OPTIONS,
    params: { [zlib.constants.ZSTD_d_windowLogMax]: 26 },
  });
  const next = (): Buffer | null => {
    const step = input.next();
    if (step.done === true) return null;
    // The walker sees every portion before the decompressor does.
    frames.push(step.value);
    return step.value;
  };
  try {
    yield* pump(stream, next, guard);
  } catch (cause) {
    throw codecError(cause);
  }
  frames.finish();
}
