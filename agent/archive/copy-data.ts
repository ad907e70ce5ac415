/**
 * Copies the data of one file into an empty one: by sharing its blocks where the file system can, else piece by piece, holes as holes.
 *
 * Guarantees: ends with DISK_FULL before less than the reserve is free.
 */
import { readSync, statfsSync } from 'node:fs';
import { writeAll } from './file-writer.ts';
import { refusal } from './refusal.ts';
import { maybeSparse, scanSegments } from './sparse-scan.ts';
import { cloneFile, ftruncate, type Stat } from './syscalls.ts';
import type { CopyOptions } from './types.ts';

const PIECE_BYTES = 1_048_576;
/** Written between two looks at the free space. */
const LOOK_BYTES = 64 * 1_048_576;

export class DataCopier {
  readonly #request: Pick<CopyOptions, 'reflink' | 'reserveBytes'>;
  readonly #destination: number;
  readonly #onLook: () => Promise<void>;
  readonly #piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  #looked = 0;
  copiedBytes = 0;
  clonedBytes = 0;

  /**
   * @param destination descriptor of the copy
   * @param onLook called after every 64 MiB
   */
  constructor(
    request: Pick<CopyOptions, 'reflink' | 'reserveBytes'>,
    destination: number,
    onLook: () => Promise<void>,
  ) {
    this.#request = request;
    this.#destination = destination;
    this.#onLook = onLook;
  }

  async copy(from: number, to: number, stat: Stat): Promise<void> {
    if (stat.size === 0) return;
    if (this.#request.reflink && cloneFile(to, from)) {
      this.clonedBytes += stat.size;
      return;
    }
    const segments = maybeSparse(stat) ? scanSegments(from, stat.size) : null;
    if (segments !== null) ftruncate(to, stat.size);
    const pairs = segments ?? [0, stat.size];
    for (let at = 0; at < pairs.length; at += 2) await this.#range(from, to, pairs[at] ?? 0, pairs[at + 1] ?? 0);
  }

  async #range(from: number, to: number, offset: number, length: number): Promise<void> {
    for (let done = 0; done < length; ) {
      const count = readSync(from, this.#piece, 0, Math.min(PIECE_BYTES, length - done), offset + done);
      if (count === 0) return;
      writeAll(to, this.#piece.subarray(0, count), offset + done);
      done += count;
      this.copiedBytes += count;
      if (this.copiedBytes - this.#looked >= LOOK_BYTES) {
        this.#looked = this.copiedBytes;
        this.#lookAtSpace();
        await this.#onLook();
      }
    }
  }

  /** The workload itself writes to this file system: a copy must never be what fills it. */
  #lookAtSpace(): void {
    const stat = statfsSync(`/proc/self/fd/${this.#destination}/.`);
    if (stat.bavail * stat.bsize < this.#request.reserveBytes)
      throw refusal('DISK_FULL', 'disk-full', 'the copy would fill the file system that the containers write to');
  }
}
