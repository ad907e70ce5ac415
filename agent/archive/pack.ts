/**
 * Archives a tree, in the child process.
 *
 * Guarantees: the archive is well formed whatever happens to the tree meanwhile; every name, byte, owner, mode, time, attribute, link and
 * hole of what held still is in it; what did not, or cannot be archived, is named in `skipped`; the file is durable on return.
 * Does not guarantee: one moment for the whole tree; that is the freeze's business.
 */
import { closeSync, openSync, readSync, unlinkSync } from 'node:fs';
import { setImmediate as othersFirst } from 'node:timers/promises';
import { DirFds } from './dir-fds.ts';
import { FrameSink } from './frame-sink.ts';
import { BLOCK } from './header.ts';
import { LongestPathSeen } from './longest-path.ts';
import { fieldsOf, isQuick, QuickEntries, quickLength, SMALL_BYTES, sameData } from './quick-entry.ts';
import { type FilledBlock, ReaderPool } from './reader-pool.ts';
import { READER_BLOCK_BYTES } from './reader-protocol.ts';
import { refusal } from './refusal.ts';
import { Skips } from './skips.ts';
import { maybeSparse, scanSegments } from './sparse-scan.ts';
import { SymlinkNames } from './symlink-names.ts';
import {
  close,
  cString,
  EMPTY_NAME,
  fxattrs,
  lxattrs,
  O,
  openat,
  readlinkat,
  type Stat,
  SystemCallError,
  statx,
} from './syscalls.ts';
import { encodeHeader, encodeSparseMap, type HeaderFields } from './tar-writer.ts';
import { noCounts } from './tree-counts.ts';
import { vanishing, type WalkItem, walkTree } from './tree-walk.ts';
import type { ArchiveSummary } from './types.ts';

export type Progress = (bytesDone: number, entriesDone: number) => void;

const READ_BYTES = 1_048_576;
const ENTRIES_BEFORE_THREADS = 64;
/** Batches and single entries that wait for their turn. */
const MAX_AHEAD = 5;

/** @throws RefloatError FILE_SYSTEM_FAILED, DISK_FULL */
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

export function openRoot(root: string): number {
  try {
    return openSync(root, O.RDONLY | O.DIRECTORY);
  } catch (cause) {
    throw refusal('FILE_SYSTEM_FAILED', 'root', `cannot open ${root} as a directory (${codeOf(cause)})`, null, cause);
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
  readonly #sink: FrameSink;
  readonly #onProgress: Progress;
  readonly #skips = new Skips();
  readonly #counts = noCounts();
  readonly #longest = new LongestPathSeen();
  readonly #symlinks = new SymlinkNames();
  /** First names of hard-linked files that could not be read: the next name of the same file takes their place. */
  readonly #missing = new Set<string>();
  readonly #quick: QuickEntries;
  #readers: ReaderPool | null = null;
  #seen = 0;
  /** For the next reader thread that has time. */
  #batch: WalkItem[] = [];
  #batchBytes = 0;
  /** What is to be put, in the order of the walk: blocks that are being filled, and entries that take more than one look. */
  readonly #queue: (Promise<FilledBlock> | WalkItem)[] = [];
  #done = 0;
  #reported = 0;

  constructor(root: number, sink: FrameSink, onProgress: Progress) {
    this.#dirs = new DirFds(root);
    this.#quick = new QuickEntries(this.#dirs, this.#counts);
    this.#sink = sink;
    this.#onProgress = onProgress;
  }

  async run(): Promise<ArchiveSummary> {
    try {
      for (const item of walkTree(this.#dirs, this.#skips)) {
        this.#longest.add(item.path);
        await this.#take(item);
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

  /** Into the next batch of the reader threads, or by itself; in the order of the walk either way. */
  async #take(item: WalkItem): Promise<void> {
    this.#seen += 1;
    if (this.#seen === ENTRIES_BEFORE_THREADS) this.#readers = new ReaderPool(this.#dirs.root);
    if (this.#readers?.ready !== true) {
      // That they are ready is heard of between two turns of the event loop.
      if (this.#seen % ENTRIES_BEFORE_THREADS === 0) await othersFirst();
      return await this.#put(item);
    }
    if (isQuick(item)) {
      const length = quickLength(item);
      if (this.#batchBytes + length > READER_BLOCK_BYTES) this.#dispatch();
      this.#batch.push(item);
      this.#batchBytes += length;
    } else {
      this.#dispatch();
      this.#queue.push(item);
    }
    await this.#putUntil(MAX_AHEAD);
  }

  #dispatch(): void {
    if (this.#batch.length === 0 || this.#readers === null) return;
    const filled = this.#readers.fill(this.#batch);
    // Whoever waits for it later is told.
    filled.catch(() => undefined);
    this.#queue.push(filled);
    this.#batch = [];
    this.#batchBytes = 0;
  }

  /** Puts what was taken first, until no more than `left` batches and entries wait. */
  async #putUntil(left: number): Promise<void> {
    while (this.#queue.length > left) {
      const next = this.#queue.shift();
      if (next instanceof Promise) await this.#putBlock(await next);
      else if (next !== undefined) await this.#put(next);
    }
  }

  async #putBlock(filled: FilledBlock): Promise<void> {
    const { used, items, counts, marks } = filled;
    const block = Buffer.from(filled.shared);
    const release = (): void => this.#readers?.release(filled);
    for (const name of ['entries', 'files', 'directories', 'symlinks', 'hardLinks', 'xattrs', 'contentBytes'] as const)
      this.#counts[name] += counts[name];
    const again = marks.flatMap(([index, start, end]) => {
      const item = items[index];
      const isFine = item === undefined || (end > start && !this.#missing.has(item.target));
      return isFine ? [] : [{ item, start, end }];
    });
    if (again.length === 0) await this.#sink.frame(block.subarray(0, used), release);
    else {
      let from = 0;
      for (const { item, start, end } of again) {
        await this.#sink.write(block.subarray(from, start));
        if (end > start) this.#uncountHardLink();
        await this.#put(item);
        from = end;
      }
      await this.#sink.write(block.subarray(from, used));
      release();
    }
    this.#progress(counts.contentBytes);
  }

  /** It was counted as what it would have been, had its first name been there. */
  #uncountHardLink(): void {
    this.#counts.entries -= 1;
    this.#counts.hardLinks -= 1;
  }

  async #put(item: WalkItem): Promise<void> {
    if (item.kind === 'file') await this.#file(item);
    else if (item.kind === 'hardlink' && this.#missing.has(item.target)) await this.#file({ ...item, kind: 'file' });
    else if (item.kind === 'directory') await this.#directory(item);
    else if (item.kind === 'symlink') await this.#symlink(item);
    else await this.#hardLink(item);
  }

  #count(kind: 'files' | 'directories' | 'symlinks' | 'hardLinks', xattrs: number): void {
    this.#counts.entries += 1;
    this.#counts[kind] += 1;
    this.#counts.xattrs += xattrs;
  }

  async #directory(item: WalkItem): Promise<void> {
    const xattrs = vanishing(item.path, this.#skips, () => {
      const fd = openat(this.#dirs.get(item.path), cString('.'), O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
      try {
        return fxattrs(fd);
      } finally {
        close(fd);
      }
    });
    if (xattrs === null) return;
    this.#count('directories', xattrs.length);
    await this.#sink.write(encodeHeader(fieldsOf(item, item.stat, '5', xattrs)));
  }

  async #symlink(item: WalkItem): Promise<void> {
    const found = vanishing(item.path, this.#skips, () => {
      const { dir, name } = this.#dirs.locate(item.path);
      return { target: readlinkat(dir, name), xattrs: lxattrs(this.#dirs.procPath(item.path)) };
    });
    if (found === null) return;
    this.#count('symlinks', found.xattrs.length);
    const linkName = found.target.toString('latin1');
    const fields = { ...fieldsOf(item, item.stat, '2', found.xattrs), linkName };
    await this.#sink.write(encodeHeader({ ...fields, symlinkName: this.#symlinkName(item, fields) }));
  }

  #symlinkName({ path, stat, target }: WalkItem, fields: HeaderFields): string | null {
    if (stat.nlink < 2) return null;
    if (target === '' && this.#symlinks.remember(path, fields)) return path;
    if (target !== '' && this.#symlinks.isSame(target, fields)) return target;
    this.#skips.add(path, 'symlink-with-other-names');
    return null;
  }

  async #hardLink(item: WalkItem): Promise<void> {
    this.#count('hardLinks', 0);
    await this.#sink.write(encodeHeader({ ...fieldsOf(item, item.stat, '1', []), linkName: item.target }));
  }

  async #file(item: WalkItem): Promise<void> {
    if (isQuick(item) && this.#quickFile(item)) return;
    const fd = vanishing(item.path, this.#skips, () => {
      const { dir, name } = this.#dirs.locate(item.path);
      return openat(dir, name, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
    });
    if (fd === null) {
      if (item.stat.nlink > 1) this.#missing.add(item.path);
      return;
    }
    try {
      const stat = statx(fd, EMPTY_NAME);
      if (stat.ino !== item.stat.ino || (stat.mode & 0o170000) !== 0o100000) this.#skips.add(item.path, 'vanished');
      else if (stat.size <= SMALL_BYTES && !maybeSparse(stat)) await this.#small(fd, item, stat);
      else await this.#large(fd, item, stat);
    } finally {
      close(fd);
    }
  }

  /** False, with nothing done, when the file did not hold still or does not fit. */
  #quickFile(item: WalkItem): boolean {
    const { block, used } = this.#sink.room();
    const end = this.#quick.put(item, this.#quick.open(item), block, used);
    if (end < 0) return false;
    this.#sink.advance(end - used);
    this.#progress(item.stat.size);
    return true;
  }

  #progress(bytes: number): void {
    this.#done += bytes;
    if (this.#done - this.#reported < 8_388_608) return;
    this.#reported = this.#done;
    this.#onProgress(this.#done, this.#counts.entries);
  }

  async #small(fd: number, item: WalkItem, first: Stat): Promise<void> {
    let stat = first;
    let data = Buffer.alloc(0);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      data = Buffer.allocUnsafe(stat.size);
      const length = readFully(fd, data, 0);
      const after = statx(fd, EMPTY_NAME);
      if (length === stat.size && sameData(stat, after)) break;
      if (attempt === 2) this.#skips.add(item.path, 'changed');
      data = data.subarray(0, length);
      if (after.size > SMALL_BYTES || attempt === 2) break;
      stat = after;
    }
    const xattrs = fxattrs(fd);
    this.#count('files', xattrs.length);
    this.#counts.contentBytes += data.length;
    await this.#sink.write(encodeHeader({ ...fieldsOf(item, stat, '0', xattrs), size: data.length }));
    await this.#sink.write(data);
    await this.#pad(data.length);
    this.#progress(data.length);
  }

  async #large(fd: number, item: WalkItem, stat: Stat): Promise<void> {
    const segments = maybeSparse(stat) ? scanSegments(fd, stat.size) : null;
    const xattrs = fxattrs(fd);
    this.#count('files', xattrs.length);
    this.#counts.contentBytes += stat.size;
    const fields = fieldsOf(item, stat, '0', xattrs);
    let complete = true;
    if (segments === null) {
      await this.#sink.write(encodeHeader({ ...fields, size: stat.size }));
      complete = await this.#copy(fd, 0, stat.size);
      await this.#pad(stat.size);
    } else {
      this.#counts.sparseFiles += 1;
      const map = encodeSparseMap(segments, stat.size);
      let stored = map.length;
      for (let index = 1; index < segments.length; index += 2) stored += segments[index] ?? 0;
      await this.#sink.write(encodeHeader({ ...fields, size: stored, sparseSize: stat.size }));
      await this.#sink.write(map);
      for (let index = 0; index < segments.length; index += 2)
        complete = (await this.#copy(fd, segments[index] ?? 0, segments[index + 1] ?? 0)) && complete;
      await this.#pad(stored);
    }
    if (!complete || !sameData(stat, statx(fd, EMPTY_NAME))) this.#skips.add(item.path, 'changed');
  }

  /** Exactly `length` bytes, zeros where the file ends early; false then. */
  async #copy(fd: number, offset: number, length: number): Promise<boolean> {
    let complete = true;
    for (let done = 0; done < length; ) {
      const space = this.#sink.space();
      const want = Math.min(space.length, length - done, READ_BYTES);
      let count = complete ? readSync(fd, space, 0, want, offset + done) : 0;
      if (count === 0) {
        complete = false;
        space.fill(0, 0, want);
        count = want;
      }
      done += count;
      this.#progress(count);
      if (this.#sink.advance(count)) await this.#sink.flush();
    }
    return complete;
  }

  async #pad(size: number): Promise<void> {
    const padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (padding > 0) await this.#sink.write(Buffer.alloc(padding));
  }
}

/** Reads up to the buffer's length; fewer bytes when the file ends. */
function readFully(fd: number, buffer: Buffer, offset: number): number {
  let done = 0;
  while (done < buffer.length) {
    const count = readSync(fd, buffer, done, buffer.length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
