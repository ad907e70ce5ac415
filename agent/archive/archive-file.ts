/**
 * The archive's bytes as they lie on the disk, each hashed once, in the order in which they are read.
 *
 * Guarantees: the digest covers exactly the bytes that were given out, and what is left of the file.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { refusal } from './refusal.ts';

const READ_BYTES = 1_048_576;
const O_RDONLY_NONBLOCK = 0o4000;

export class ArchiveFile {
  readonly size: number;
  readonly #fd: number;
  readonly #hash: Hash = createHash('sha256');
  #digest: string | null = null;

  /** @throws RefloatError ARCHIVE_MISSING, ARCHIVE_REFUSED, FILE_SYSTEM_FAILED */
  constructor(path: string) {
    try {
      // Not blocking on a FIFO; a directory or device is refused below.
      this.#fd = openSync(path, O_RDONLY_NONBLOCK);
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
    return buffer.subarray(0, this.readInto(buffer));
  }

  /** How many bytes were read into `buffer`: as many as it has, but for the end of the file. None once the digest was taken. */
  readInto(buffer: Buffer): number {
    if (this.#digest !== null) return 0;
    let length = 0;
    for (let count = -1; count !== 0 && length < buffer.length; length += count)
      count = readSync(this.#fd, buffer, length, buffer.length - length, null);
    if (length > 0) this.#hash.update(buffer.subarray(0, length));
    return length;
  }

  digest(): string {
    if (this.#digest === null) {
      const rest = Buffer.allocUnsafeSlow(READ_BYTES);
      while (this.readInto(rest) > 0);
      this.#digest = this.#hash.digest('hex');
    }
    return this.#digest;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** The rest of the file in pieces of at most `bytes`. @param first what was read of it already */
export function* portions(file: ArchiveFile, first: Buffer, bytes: number): Generator<Buffer> {
  for (let chunk = first; chunk.length > 0; chunk = file.read())
    for (let at = 0; at < chunk.length; at += bytes) yield chunk.subarray(at, at + bytes);
}
