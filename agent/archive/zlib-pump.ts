/**
 * Decompression through the streams of node:zlib, for gzip, and for zstd where zstd-native-decoder.ts has nothing to call.
 *
 * Guarantees: one portion of input is inside at a time; the output is ahead of the reader by a few MiB at most.
 */
import type { Transform } from 'node:stream';
// A namespace, so that an older Node can still load the program and hand over to a newer one.
import type * as zlib from 'node:zlib';
import type { RatioGuard } from './ratio-guard.ts';
import { refusal } from './refusal.ts';

/** What a decompressor is fed at once. */
export const FEED_BYTES = 524_288;
/**
 * What it gives at once, and what it may be ahead of the parser: handing over little by little costs more than decompressing when all
 * cores are busy.
 */
export const STREAM_OPTIONS = { chunkSize: 1_048_576, readableHighWaterMark: 6 * 1_048_576 };

/**
 * Pushes input into a decompressor one portion at a time and yields what comes out, each piece valid until the second one after it is
 * asked for; `next` gives null at the end of the input.
 */
export async function* pump(
  stream: Transform & zlib.Zlib,
  next: () => Buffer | null | Promise<Buffer | null>,
  guard: RatioGuard,
): AsyncGenerator<Buffer> {
  let failure: unknown = null;
  let fed = 0;
  const feed = async (): Promise<void> => {
    for (;;) {
      const chunk = await next();
      if (chunk === null) break;
      fed += chunk.length;
      await new Promise<void>((resolve, reject) => {
        stream.once('close', resolve);
        stream.write(chunk, (error) => {
          stream.off('close', resolve);
          if (error) reject(error);
          else resolve();
        });
      });
      // What is left of a portion belongs to whatever follows the compressed stream.
      if (stream.destroyed || stream.bytesWritten < fed) break;
    }
    if (!stream.writableEnded && !stream.destroyed) stream.end();
  };
  const feeding = feed().catch((error: unknown) => {
    failure = error;
    stream.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  try {
    let before: Buffer | null = null;
    for await (const out of stream as AsyncIterable<Buffer>) {
      guard.gave(out.length, stream.bytesWritten);
      yield out;
      giveBack(before, out);
      before = out;
    }
    await feeding;
  } catch (error) {
    throw failure ?? error;
  } finally {
    stream.destroy();
  }
}

/** The collector would take the memory for growth, and mark the whole heap every few chunks. */
function giveBack(chunk: Buffer | null, after: Buffer): void {
  if (chunk?.buffer instanceof ArrayBuffer && chunk.buffer !== after.buffer) chunk.buffer.transfer(0);
}

/** What the streams throw as the archive's own errors; anything else as it is. */
export function codecError(cause: unknown): unknown {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code === 'Z_BUF_ERROR' || code === 'ERR_STREAM_PREMATURE_CLOSE')
    return refusal('ARCHIVE_TRUNCATED', 'truncated-compression', 'the compressed archive ends early', null, cause);
  if (code.startsWith('Z_') || code.startsWith('ZSTD_'))
    return refusal('ARCHIVE_CORRUPT', 'bad-compression', 'the compressed archive is damaged', null, cause);
  return cause;
}
