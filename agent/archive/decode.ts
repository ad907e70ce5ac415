/**
 * From an archive file to the bytes of a tar: magic bytes decide the compression, every byte on disk goes through SHA-256.
 *
 * Guarantees: the digest covers exactly the bytes that were parsed; nothing follows the compressed data but zeros after gzip;
 * at most 200 bytes come out per byte that goes in, over windows of 64 MiB.
 * Does not guarantee: the digest's value; whoever extracts compares it.
 */
import { RefloatError } from '../../db/errors.ts';
import { ArchiveFile } from './archive-file.ts';
import { decodeGzip } from './decode-gzip.ts';
import { decodeZstd } from './decode-zstd.ts';
import { RatioGuard } from './ratio-guard.ts';
import { Rotation } from './rotation.ts';

export const DEFAULT_MAX_RATIO = 200;
const PLAIN_BYTES = 1_048_576;

export interface DecodedFile {
  /** Each is valid until the second one after it is asked for. */
  readonly bytes: AsyncGenerator<Buffer>;
  /** Bytes on disk, as they were at the start. */
  readonly archiveBytes: number;
  /** Hex; reads what is left of the file first. */
  digest(): string;
  /** Call it in every case, when nobody waits for `bytes` any more. */
  close(): Promise<void>;
}

/** @param maxRatio decompressed bytes per compressed byte */
export function openArchive(path: string, maxRatio: number): DecodedFile {
  const file = new ArchiveFile(path);
  const bytes = decode(file, maxRatio);
  return {
    bytes,
    archiveBytes: file.size,
    digest: () => file.digest(),
    close: async () => {
      try {
        await bytes.return(undefined);
      } finally {
        file.close();
      }
    },
  };
}

/** First four bytes of .xz and .lz4 files, little endian. */
const OTHER_COMPRESSION: ReadonlySet<number> = new Set([0x587a37fd, 0x184d2204]);

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
  else yield* plain(file, first);
}

async function* plain(file: ArchiveFile, first: Buffer): AsyncGenerator<Buffer> {
  yield first;
  const buffers = new Rotation(PLAIN_BYTES);
  for (;;) {
    const buffer = buffers.next();
    const length = file.readInto(buffer);
    if (length === 0) return;
    yield buffer.subarray(0, length);
  }
}
