/** Gzip as Refloat reads it. Guarantees: whole members and zeros, nothing else; every checksum and length is right. */
// A namespace, so that an older Node can still load the program and hand over to a newer one.
import * as zlib from 'node:zlib';
import { type ArchiveFile, portions } from './archive-file.ts';
import { ByteQueue } from './byte-queue.ts';
import type { RatioGuard } from './ratio-guard.ts';
import { refusal } from './refusal.ts';
import { codecError, FEED_BYTES, pump, STREAM_OPTIONS } from './zlib-pump.ts';

/** Each costs a decompressor of its own. */
const MAX_MEMBERS = 1_000_000;
const MAX_ZEROS_AT_ONCE = 1_048_576;

/** Members one after the other, each with its header, CRC and length checked here, so that the end is known to the byte. */
export async function* decodeGzip(file: ArchiveFile, first: Buffer, guard: RatioGuard): AsyncGenerator<Buffer> {
  async function* chunks(): AsyncGenerator<Buffer> {
    yield* portions(file, first, FEED_BYTES);
  }
  const queue = new ByteQueue(chunks());
  for (let members = 0; await queue.need(1); members += 1) {
    if (members > MAX_MEMBERS)
      throw refusal('ARCHIVE_LIMIT', 'gzip-members', `the archive has more than ${MAX_MEMBERS} gzip members`);
    if (members > 0 && queue.peek() === 0) return await zerosOnly(queue);
    await gzipHeader(queue, members);
    const stream = zlib.createInflateRaw(STREAM_OPTIONS);
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
  for (let rest = await queue.some(MAX_ZEROS_AT_ONCE); rest !== null; rest = await queue.some(MAX_ZEROS_AT_ONCE))
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
