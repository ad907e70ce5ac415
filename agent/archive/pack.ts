/**
 * Archives a tree, in the child process: lists it, has reader threads make frames of what is quickly read, and writes the frames in order.
 *
 * Guarantees: the archive is well formed whatever happens to the tree meanwhile; every name, byte, owner, mode, time, attribute, link and
 * hole of what held still is in it; what did not, or cannot be archived, is named in `skipped`; the file is durable on return.
 * Does not guarantee: one moment for the whole tree; that is the freeze's business.
 */
import { closeSync, unlinkSync } from 'node:fs';
import { setImmediate as othersFirst } from 'node:timers/promises';
import { DirFds } from './dir-fds.ts';
import { EntryWriter } from './entry-writer.ts';
import { FrameSink } from './frame-sink.ts';
import { BLOCK } from './header.ts';
import { LongestPathSeen } from './longest-path.ts';
import { openRoot } from './open-root.ts';
import { type FilledBlock, ReaderPool } from './reader-pool.ts';
import { refusal } from './refusal.ts';
import { Skips } from './skips.ts';
import { EMPTY_NAME, SystemCallError, statx } from './syscalls.ts';
import { addCounts, noCounts } from './tree-counts.ts';
import { type ListedEntry, listTree, pathOf } from './tree-list.ts';
import type { ArchiveSummary, Progress } from './types.ts';

const ENTRIES_BEFORE_THREADS = 64;
/** Batches that are under way. */
const MAX_AHEAD = 8;
/** Of tar, that a batch should make: sizes are known only once it is read, so that some batches make more. */
const BATCH_BYTES = 2 * 1024 * 1024;
const MIN_BATCH = 16;
const MAX_BATCH = 2048;
const PROGRESS_BYTES = 8 * 1024 * 1024;

/** @throws RefloatError FILE_SYSTEM_FAILED, DISK_FULL, INTERNAL */
export async function packTree(root: string, archive: string, onProgress: Progress): Promise<ArchiveSummary> {
  const rootFd = openRoot(root);
  try {
    const sink = openSink(archive);
    try {
      return await new Packer(rootFd, sink, onProgress).run();
    } catch (error) {
      await sink.abort();
      unlinkSync(archive);
      throw packError(error);
    }
  } finally {
    closeSync(rootFd);
  }
}

function openSink(archive: string): FrameSink {
  try {
    return new FrameSink(archive);
  } catch (cause) {
    throw refusal('FILE_SYSTEM_FAILED', 'destination', `cannot open ${archive} (${codeOf(cause)})`, null, cause);
  }
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

function packError(error: unknown): unknown {
  const code = codeOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return refusal('DISK_FULL', 'disk-full', 'the file system of the archive is full', null, error);
  if (error instanceof SystemCallError)
    return refusal('FILE_SYSTEM_FAILED', 'file-system', `the file system failed (${error.message})`, null, error);
  return error;
}

class Packer {
  readonly #dirs: DirFds;
  readonly #mount: number;
  readonly #sink: FrameSink;
  readonly #onProgress: Progress;
  readonly #writer: EntryWriter;
  readonly #skips = new Skips();
  readonly #counts = noCounts();
  readonly #longest = new LongestPathSeen();
  #readers: ReaderPool | null = null;
  #seen = 0;
  #batch: ListedEntry[] = [];
  /** How many entries make about BATCH_BYTES, by what the last batches have shown. */
  #batchEntries = MIN_BATCH;
  /** Batches in the order of the tree. */
  readonly #queue: Promise<FilledBlock>[] = [];
  #done = 0;
  #reported = 0;

  constructor(root: number, sink: FrameSink, onProgress: Progress) {
    this.#dirs = new DirFds(root);
    this.#mount = statx(root, EMPTY_NAME).mount;
    this.#sink = sink;
    this.#onProgress = onProgress;
    this.#writer = new EntryWriter({
      dirs: this.#dirs,
      mount: this.#mount,
      sink,
      skips: this.#skips,
      counts: this.#counts,
      onBytes: (bytes) => this.#progress(bytes),
    });
  }

  async run(): Promise<ArchiveSummary> {
    try {
      for (const entry of listTree(this.#dirs, this.#skips)) {
        this.#longest.add(pathOf(entry));
        await this.#take(entry);
      }
      this.#dispatch();
      await this.#putUntil(0);
    } finally {
      await this.#readers?.stop();
      this.#dirs.close();
    }
    await this.#sink.write(Buffer.alloc(BLOCK * 2));
    const { sha256, archiveBytes } = await this.#sink.finish();
    this.#onProgress(this.#done, this.#counts.entries);
    return {
      ...this.#counts,
      ...this.#longest.summary(),
      hasRoot: true,
      sha256,
      archiveBytes,
      skipped: this.#skips.list(),
    };
  }

  /** By itself until the reader threads run, then into the next batch for them. */
  async #take(entry: ListedEntry): Promise<void> {
    this.#seen += 1;
    if (this.#seen === ENTRIES_BEFORE_THREADS)
      this.#readers = new ReaderPool({ root: this.#dirs.root, mount: this.#mount });
    if (this.#readers?.ready !== true) {
      // That they are ready is heard of between two turns of the event loop.
      if (this.#seen % ENTRIES_BEFORE_THREADS === 0) await othersFirst();
      return await this.#writer.put(entry);
    }
    this.#batch.push(entry);
    if (this.#batch.length < this.#batchEntries) return;
    this.#dispatch();
    await this.#putUntil(MAX_AHEAD);
  }

  #dispatch(): void {
    if (this.#batch.length === 0 || this.#readers === null) return;
    this.#queue.push(this.#fill(this.#readers, this.#batch));
    this.#batch = [];
  }

  #fill(readers: ReaderPool, entries: readonly ListedEntry[]): Promise<FilledBlock> {
    const filled = readers.fill(entries);
    // Whoever waits for it later is told.
    filled.catch(() => undefined);
    return filled;
  }

  /** Puts what was dispatched first, until no more than `left` batches are under way. */
  async #putUntil(left: number): Promise<void> {
    for (let next = this.#queue[0]; next !== undefined && this.#queue.length > left; next = this.#queue[0]) {
      const filled = await next;
      void this.#queue.shift();
      const { entries, done } = filled;
      // The rest has its place before what was dispatched after it.
      if (done < entries.length && this.#readers !== null)
        this.#queue.unshift(this.#fill(this.#readers, entries.slice(done)));
      this.#learn(filled);
      await this.#putFilled(filled);
    }
  }

  #learn({ used, done, marks }: FilledBlock): void {
    if (done === marks.length) return;
    const entries = Math.round((BATCH_BYTES * (done - marks.length)) / used);
    // Half way there, since one large file among many small ones says little.
    this.#batchEntries = Math.max(MIN_BATCH, Math.min(MAX_BATCH, Math.round((this.#batchEntries + entries) / 2)));
  }

  async #putFilled(filled: FilledBlock): Promise<void> {
    const { used, length, isFrame, entries, counts, marks } = filled;
    const bytes = Buffer.from(filled.out, 0, length);
    const release = (): void => this.#readers?.release(filled);
    addCounts(this.#counts, counts);
    if (isFrame) await this.#sink.frame({ bytes, release }, used);
    else {
      let from = 0;
      for (const [index, at] of marks) {
        await this.#sink.write(bytes.subarray(from, at));
        const entry = entries[index];
        if (entry !== undefined) await this.#writer.put(entry);
        from = at;
      }
      await this.#sink.write(bytes.subarray(from));
      release();
    }
    this.#progress(counts.contentBytes);
  }

  #progress(bytes: number): void {
    this.#done += bytes;
    if (this.#done - this.#reported < PROGRESS_BYTES) return;
    this.#reported = this.#done;
    this.#onProgress(this.#done, this.#counts.entries);
  }
}
