/**
 * Makes a batch of entries one block of tar, and that one frame.
 *
 * Guarantees: what does not fit any more is left for another block; what takes more than one look is left out and marked, and the block
 * is given back as it is then.
 */
import { DirFds } from './dir-fds.ts';
import { FrameLevel } from './frame-level.ts';
import { NO_ROOM, NOT_QUICK, QuickEntries } from './quick-entry.ts';
import {
  decodeJob,
  READER_BLOCK_BYTES,
  type ReaderData,
  type ReaderJob,
  type ReaderResult,
} from './reader-protocol.ts';
import { close } from './syscalls.ts';
import { noCounts } from './tree-counts.ts';
import type { ListedEntry } from './tree-list.ts';
import { NativeCompressor, nativeZstd } from './zstd-native.ts';

/**
 * When files come from the disk, that many are opened, so that the kernel reads them, before they are read: their waits overlap. When
 * they are in memory, to ask the kernel costs as much as to read them.
 */
const FILES_AHEAD = 32;
/** Small files in memory take a tenth of it. One alone says little: the thread may have had to wait for a processor. */
const COLD_MS = 0.1;

type Filled = Pick<ReaderResult, 'done' | 'used' | 'marks' | 'counts'>;

export class BlockReader {
  readonly #dirs: DirFds;
  readonly #entries: QuickEntries;
  readonly #block = Buffer.allocUnsafeSlow(READER_BLOCK_BYTES);
  readonly #compressor: NativeCompressor | null;
  readonly #level = new FrameLevel();

  /** @param zstd null to leave the compression to others */
  constructor({ root, mount }: ReaderData, zstd = nativeZstd) {
    this.#compressor = zstd === null ? null : new NativeCompressor(zstd, READER_BLOCK_BYTES);
    this.#dirs = new DirFds(root);
    this.#entries = new QuickEntries(this.#dirs, mount, noCounts());
  }

  read(job: ReaderJob): ReaderResult {
    const filled = this.#fill(decodeJob(job));
    const block = this.#block.subarray(0, filled.used);
    const out = Buffer.from(job.out);
    const isFrame = this.#compressor !== null && filled.used > 0 && filled.marks.length === 0;
    return { ...filled, isFrame, length: isFrame ? this.#compress(this.#compressor, block, out) : block.copy(out) };
  }

  close(): void {
    this.#dirs.close();
    this.#compressor?.close();
  }

  #fill(entries: readonly ListedEntry[]): Filled {
    const counts = noCounts();
    this.#entries.counts = counts;
    const marks: [number, number][] = [];
    const open: number[] = [];
    let used = 0;
    let done = 0;
    let aheadUntil = 0;
    let wasSlow = false;
    let before = performance.now();
    for (const entry of entries) {
      const ahead = done < aheadUntil;
      for (const last = Math.min(entries.length, ahead ? done + FILES_AHEAD : done + 1); open.length < last; )
        open.push(this.#entries.open(entries[open.length] ?? entry, ahead));
      const end = this.#entries.put(entry, open[done] ?? -1, this.#block, used);
      if (end === NO_ROOM && used > 0) break;
      if (end === NO_ROOM || end === NOT_QUICK) marks.push([done, used]);
      else used = end;
      done += 1;
      const now = performance.now();
      const isSlow = now - before > COLD_MS;
      if (isSlow && wasSlow) aheadUntil = done + 2 * FILES_AHEAD;
      wasSlow = isSlow;
      before = now;
    }
    for (const fd of open.slice(done + 1)) if (fd >= 0) close(fd);
    return { done, used, marks, counts };
  }

  #compress(compressor: NativeCompressor, block: Buffer, out: Buffer): number {
    const lengths = this.#level.next().map((level) => compressor.frameNow(block, level, out));
    this.#level.learn(lengths);
    return lengths.at(-1) ?? 0;
  }
}
