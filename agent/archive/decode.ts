/**
 * From an archive file to the bytes of a tar: magic bytes decide the compression, every byte on disk goes through SHA-256.
 *
 * Guarantees: the digest covers exactly the bytes that were parsed; nothing follows the compressed data but zeros after gzip;
 * at most 200 bytes come out per byte that goes in, over windows of 64 MiB.
 * Does not guarantee: the digest's value; whoever extracts compares it.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Transform } from 'node:stream';
// A namespace, so that an older Node can still load the program and hand over to a newer one.
import * as zlib from 'node:zlib';
import { RefloatError } from '../../db/errors.ts';
import { ByteQueue } from './byte-queue.ts';
import { refusal } from './refusal.ts';
import { ZstdFrames } from './zstd-frames.ts';

const READ_BYTES = 1_048_576;
/** What a decompressor is fed at once. */
const FEED_BYTES = 524_288;
/** What a decompressor may be ahead of the parser: handing over little by little costs more than decompressing when all cores are busy. */
const AHEAD = { readableHighWaterMark: 6 * 1_048_576 };
/** Each costs a decompressor of its own. */
const MAX_MEMBERS = 1_000_000;
const RATIO_WINDOW = 64 * 1024 * 1024;
export const DEFAULT_MAX_RATIO = 200;

export interface DecodedFile {
  readonly bytes: AsyncGenerator<Buffer>;
  /** Bytes on disk, as they were at the start. */
  readonly archiveBytes: number;
  /** Hex; reads what is left of the file first. */
  digest(): string;
  close(): void;
}

/** @param maxRatio decompressed bytes per compressed byte */
export function openArchive(path: string, maxRatio: number): DecodedFile {
  const file = new ArchiveFile(path);
  return {
    bytes: decode(file, maxRatio),
    archiveBytes: file.size,
    digest: () => file.digest(),
    close: () => file.close(),
  };
}

/** First four bytes of .xz and .lz4 files, little endian. */
const OTHER_COMPRESSION: ReadonlySet<number> = new Set([0x587a37fd, 0x184d2204]);

class ArchiveFile {
  readonly size: number;
  readonly #fd: number;
  readonly #hash: Hash = createHash('sha256');
  #digest: string | null = null;

  constructor(path: string) {
    try {
      // Not blocking on a FIFO; a directory or device is refused below.
      this.#fd = openSync(path, constants_O_RDONLY_NONBLOCK);
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? '';
      throw refusal(
        code === 'ENOENT' || code === 'ENOTDIR' ? 'ARCHIVE_MISSING' : 'FILE_SYSTEM_FAILED',
        'open',
        `cannot open the archive (${code})`,
        null,
        cause,
      );
    }
    const stat = fstatSync(this.#fd);
    if (!stat.isFile()) {
      closeSync(this.#fd);
      throw refusal('ARCHIVE_REFUSED', 'not-a-file', 'the archive is not a regular file');
    }
    this.size = stat.size;
  }

  /** The next bytes in a buffer of their own; empty at the end. */
  read(): Buffer {
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const length = readSync(this.#fd, buffer, 0, READ_BYTES, null);
    const chunk = buffer.subarray(0, length);
    if (length > 0) this.#hash.update(chunk);
    return chunk;
  }

  digest(): string {
    if (this.#digest === null) {
      while (this.read().length > 0);
      this.#digest = this.#hash.digest('hex');
    }
    return this.#digest;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const constants_O_RDONLY_NONBLOCK = 0o4000;

/** Compressed bytes that were consumed against bytes that came out. */
class RatioGuard {
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

async function* decode(file: ArchiveFile, maxRatio: number): AsyncGenerator<Buffer> {
  const first = file.read();
  const guard = new RatioGuard(maxRatio);
  const magic = first.length >= 4 ? first.readUInt32LE(0) : 0;
  if (magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50) yield* decodeZstd(file, first, guard);
  else if (first.length >= 2 && first.readUInt16BE(0) === 0x1f8b) yield* decodeGzip(file, first, guard);
  else if (OTHER_COMPRESSION.has(magic) || first.toString('latin1', 0, 3) === 'BZh')
    throw new RefloatError('ARCHIVE_REFUSED', 'the archive is compressed by something else than gzip or zstd', {
      hint: 'Decompress it first, for example with "xz -d" or "bzip2 -d", and give the .tar file.',
      disposition: 'refuse',
      details: { rule: 'compression' },
    });
  else for (let chunk = first; chunk.length > 0; chunk = file.read()) yield chunk;
}

/** Pushes input into a decompressor one portion at a time and yields what comes out; `next` gives null at the end of the input. */
async function* pump(
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
    for await (const out of stream) {
      guard.gave((out as Buffer).length, stream.bytesWritten);
      yield out as Buffer;
    }
    await feeding;
  } catch (error) {
    throw failure ?? error;
  } finally {
    stream.destroy();
  }
}

function* portions(file: ArchiveFile, first: Buffer): Generator<Buffer> {
  for (let chunk = first; chunk.length > 0; chunk = file.read())
    for (let at = 0; at < chunk.length; at += FEED_BYTES) yield chunk.subarray(at, at + FEED_BYTES);
}

async function* decodeZstd(file: ArchiveFile, first: Buffer, guard: RatioGuard): AsyncGenerator<Buffer> {
  const frames = new ZstdFrames();
  const input = portions(file, first);
  const stream = zlib.createZstdDecompress({
    chunkSize: READ_BYTES,
    ...AHEAD,
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

function codecError(cause: unknown): unknown {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code === 'Z_BUF_ERROR' || code === 'ERR_STREAM_PREMATURE_CLOSE')
    return refusal('ARCHIVE_TRUNCATED', 'truncated-compression', 'the compressed archive ends early', null, cause);
  if (code.startsWith('Z_') || code.startsWith('ZSTD_'))
    return refusal('ARCHIVE_CORRUPT', 'bad-compression', 'the compressed archive is damaged', null, cause);
  return cause;
}

/** Members one after the other, each with its header, CRC and length checked here, so that the end is known to the byte. */
async function* decodeGzip(file: ArchiveFile, first: Buffer, guard: RatioGuard): AsyncGenerator<Buffer> {
  async function* chunks(): AsyncGenerator<Buffer> {
    yield* portions(file, first);
  }
  const queue = new ByteQueue(chunks());
  for (let members = 0; await queue.need(1); members += 1) {
    if (members > MAX_MEMBERS)
      throw refusal('ARCHIVE_LIMIT', 'gzip-members', `the archive has more than ${MAX_MEMBERS} gzip members`);
    if (members > 0 && queue.peek() === 0) return await zerosOnly(queue);
    await gzipHeader(queue, members);
    const stream = zlib.createInflateRaw({ chunkSize: READ_BYTES, ...AHEAD });
    let crc = 0;
    let length = 0;
    let last: Buffer = Buffer.alloc(0);
    let fed = 0;
    const next = async (): Promise<Buffer | null> => {
      const piece = await queue.some(FEED_BYTES);
      if (piece !== null) {
        last = piece;
        fed += piece.length;
      }
      return piece;
    };
    try {
      for await (const out of pump(stream, next, guard)) {
        crc = zlib.crc32(out, crc);
        length = (length + out.length) % 2 ** 32;
        yield out;
      }
    } catch (cause) {
      throw codecError(cause);
    }
    const unused = fed - stream.bytesWritten;
    if (unused < 0 || unused > last.length)
      throw refusal('ARCHIVE_CORRUPT', 'bad-compression', 'the compressed archive is damaged');
    queue.rewind(unused);
    guard.ended(stream.bytesWritten);
    if (!(await queue.need(8)))
      throw refusal('ARCHIVE_TRUNCATED', 'truncated-compression', 'the compressed archive ends early');
    const trailer = queue.read(8);
    if (trailer.readUInt32LE(0) !== crc || trailer.readUInt32LE(4) !== length)
      throw refusal('ARCHIVE_CORRUPT', 'gzip-checksum', 'the compressed archive has a wrong checksum');
  }
}

async function zerosOnly(queue: ByteQueue): Promise<void> {
  for (let rest = await queue.some(READ_BYTES); rest !== null; rest = await queue.some(READ_BYTES))
    for (const byte of rest)
      if (byte !== 0) throw refusal('ARCHIVE_REFUSED', 'trailing-garbage', 'something follows the compressed archive');
}

async function gzipHeader(queue: ByteQueue, members: number): Promise<void> {
  const take = async (count: number): Promise<Buffer> => {
    if (!(await queue.need(count)))
      throw refusal('ARCHIVE_TRUNCATED', 'truncated-compression', 'the compressed archive ends early');
    return queue.read(count);
  };
  const text = async (): Promise<void> => {
    for (let length = 0; (await take(1))[0] !== 0; length += 1)
      if (length > 65_536) throw refusal('ARCHIVE_LIMIT', 'gzip-header', 'the gzip header is too long');
  };
  const magic = await take(2);
  if (magic.readUInt16BE(0) !== 0x1f8b)
    throw refusal(
      'ARCHIVE_REFUSED',
      'trailing-garbage',
      members > 0 ? 'something follows the compressed archive' : 'not a gzip file',
    );
  const rest = await take(8);
  const flags = rest[1] ?? 0;
  if (rest[0] !== 8 || (flags & 0xe0) !== 0)
    throw refusal('ARCHIVE_CORRUPT', 'gzip-header', 'the gzip header is damaged');
  if ((flags & 4) !== 0) await take((await take(2)).readUInt16LE(0));
  if ((flags & 8) !== 0) await text();
  if ((flags & 16) !== 0) await text();
  if ((flags & 2) !== 0) await take(2);
}
