/**
 * Archives one entry after the other, with as many looks as it takes: files that are large, have holes or do not hold still, and inodes
 * with several names.
 *
 * Guarantees: what is written is well formed whatever happens to the entry meanwhile; an entry that is not what it was listed as, or that
 * changed while it was read, is named in the skips.
 */
import { readSync } from 'node:fs';
import type { DirFds } from './dir-fds.ts';
import { fieldsOf, openFile, readDirectory, readSymlink, sameData } from './entry-reads.ts';
import { FirstNames } from './first-names.ts';
import type { FrameSink } from './frame-sink.ts';
import { BLOCK } from './header.ts';
import { QuickEntries, SMALL_BYTES } from './quick-entry.ts';
import type { Skips } from './skips.ts';
import { maybeSparse, scanSegments } from './sparse-scan.ts';
import { SymlinkNames } from './symlink-names.ts';
import { close, EMPTY_NAME, fxattrs, S, type Stat, statx } from './syscalls.ts';
import { encodeHeader, encodeSparseMap, type HeaderFields } from './tar-writer.ts';
import type { MutableCounts } from './tree-counts.ts';
import { type ListedEntry, pathOf, vanishing } from './tree-list.ts';
import { statOf } from './tree-walk.ts';

const READ_BYTES = 1_048_576;
const ATTEMPTS = 3;

export interface EntryWriterDeps {
  readonly dirs: DirFds;
  /** That the root is on. */
  readonly mount: number;
  readonly sink: FrameSink;
  readonly skips: Skips;
  readonly counts: MutableCounts;
  /** Called with the bytes of content that were archived since the last call. */
  readonly onBytes: (bytes: number) => void;
}

export class EntryWriter {
  readonly #deps: EntryWriterDeps;
  readonly #quick: QuickEntries;
  readonly #firstNames = new FirstNames();
  readonly #symlinks = new SymlinkNames();

  constructor(deps: EntryWriterDeps) {
    this.#deps = deps;
    this.#quick = new QuickEntries(deps.dirs, deps.mount, deps.counts);
  }

  async put(entry: ListedEntry): Promise<void> {
    if (this.#putQuickly(entry)) return;
    const { dirs, mount, skips } = this.#deps;
    const stat = statOf(dirs, entry, mount, skips);
    if (stat === null) return;
    if (entry.kind === 'directory') return await this.#directory(entry);
    const first = this.#firstNames.of(stat);
    if (entry.kind === 'file' && first !== '') return await this.#hardLink(entry, stat, first);
    const isPut = entry.kind === 'file' ? await this.#file(entry, stat) : await this.#symlink(entry, stat, first);
    // The next name takes the place of one that could not be put.
    if (isPut && first === '') this.#firstNames.remember(pathOf(entry), stat);
  }

  #putQuickly(entry: ListedEntry): boolean {
    const { sink, counts, onBytes } = this.#deps;
    const { block, used } = sink.room();
    const before = counts.contentBytes;
    const end = this.#quick.put(entry, this.#quick.open(entry), block, used);
    if (end < 0) return false;
    sink.advance(end - used);
    onBytes(counts.contentBytes - before);
    return true;
  }

  #count(kind: 'files' | 'directories' | 'symlinks' | 'hardLinks', xattrs: number): void {
    this.#deps.counts.entries += 1;
    this.#deps.counts[kind] += 1;
    this.#deps.counts.xattrs += xattrs;
  }

  async #directory(entry: ListedEntry): Promise<void> {
    const { dirs, sink, skips } = this.#deps;
    const found = vanishing(pathOf(entry), skips, () => readDirectory(dirs, entry));
    if (found === null) return;
    this.#count('directories', found.xattrs.length);
    await sink.write(encodeHeader(fieldsOf(entry, found.stat, '5', found.xattrs)));
  }

  async #symlink(entry: ListedEntry, stat: Stat, first: string): Promise<boolean> {
    const { dirs, sink, skips } = this.#deps;
    const found = vanishing(pathOf(entry), skips, () => readSymlink(dirs, entry));
    if (found === null) return false;
    this.#count('symlinks', found.xattrs.length);
    const fields = { ...fieldsOf(entry, stat, '2', found.xattrs), linkName: found.target };
    const symlinkName = stat.nlink < 2 ? null : this.#symlinkName(pathOf(entry), first, fields);
    await sink.write(encodeHeader({ ...fields, symlinkName }));
    return true;
  }

  #symlinkName(path: string, first: string, fields: HeaderFields): string | null {
    if (first === '' && this.#symlinks.remember(path, fields)) return path;
    if (first !== '' && this.#symlinks.isSame(first, fields)) return first;
    this.#deps.skips.add(path, 'symlink-with-other-names');
    return null;
  }

  async #hardLink(entry: ListedEntry, stat: Stat, linkName: string): Promise<void> {
    this.#count('hardLinks', 0);
    await this.#deps.sink.write(encodeHeader({ ...fieldsOf(entry, stat, '1', []), linkName }));
  }

  async #file(entry: ListedEntry, looked: Stat): Promise<boolean> {
    const { dirs, skips } = this.#deps;
    const fd = vanishing(pathOf(entry), skips, () => openFile(dirs, entry));
    if (fd === null) return false;
    try {
      const stat = statx(fd, EMPTY_NAME);
      const isIt = stat.ino === looked.ino && (stat.mode & S.IFMT) === S.IFREG;
      if (!isIt) skips.add(pathOf(entry), 'vanished');
      else if (stat.size <= SMALL_BYTES && !maybeSparse(stat)) await this.#small(fd, entry, stat);
      else await this.#large(fd, entry, stat);
      return isIt;
    } finally {
      close(fd);
    }
  }

  async #small(fd: number, entry: ListedEntry, first: Stat): Promise<void> {
    const { sink, skips, counts, onBytes } = this.#deps;
    let stat = first;
    let data = Buffer.alloc(0);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      data = Buffer.allocUnsafe(stat.size);
      const length = readFully(fd, data);
      const after = statx(fd, EMPTY_NAME);
      if (length === stat.size && sameData(stat, after)) break;
      if (attempt === ATTEMPTS) skips.add(pathOf(entry), 'changed');
      data = data.subarray(0, length);
      if (after.size > SMALL_BYTES || attempt === ATTEMPTS) break;
      stat = after;
    }
    const xattrs = fxattrs(fd);
    this.#count('files', xattrs.length);
    counts.contentBytes += data.length;
    await sink.write(encodeHeader({ ...fieldsOf(entry, stat, '0', xattrs), size: data.length }));
    await sink.write(data);
    await this.#pad(data.length);
    onBytes(data.length);
  }

  async #large(fd: number, entry: ListedEntry, stat: Stat): Promise<void> {
    const { sink, skips, counts } = this.#deps;
    const segments = maybeSparse(stat) ? scanSegments(fd, stat.size) : null;
    const xattrs = fxattrs(fd);
    this.#count('files', xattrs.length);
    counts.contentBytes += stat.size;
    const fields = fieldsOf(entry, stat, '0', xattrs);
    let complete = true;
    if (segments === null) {
      await sink.write(encodeHeader({ ...fields, size: stat.size }));
      complete = await this.#copy(fd, 0, stat.size);
      await this.#pad(stat.size);
    } else {
      counts.sparseFiles += 1;
      const map = encodeSparseMap(segments, stat.size);
      let stored = map.length;
      for (let index = 1; index < segments.length; index += 2) stored += segments[index] ?? 0;
      await sink.write(encodeHeader({ ...fields, size: stored, sparseSize: stat.size }));
      await sink.write(map);
      for (let index = 0; index < segments.length; index += 2)
        complete = (await this.#copy(fd, segments[index] ?? 0, segments[index + 1] ?? 0)) && complete;
      await this.#pad(stored);
    }
    if (!complete || !sameData(stat, statx(fd, EMPTY_NAME))) skips.add(pathOf(entry), 'changed');
  }

  /** Exactly `length` bytes, zeros where the file ends early; false then. */
  async #copy(fd: number, offset: number, length: number): Promise<boolean> {
    const { sink, onBytes } = this.#deps;
    let complete = true;
    for (let done = 0; done < length; ) {
      const space = sink.space();
      const want = Math.min(space.length, length - done, READ_BYTES);
      let count = complete ? readSync(fd, space, 0, want, offset + done) : 0;
      if (count === 0) {
        complete = false;
        space.fill(0, 0, want);
        count = want;
      }
      done += count;
      onBytes(count);
      if (sink.advance(count)) await sink.flush();
    }
    return complete;
  }

  async #pad(size: number): Promise<void> {
    const padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (padding > 0) await this.#deps.sink.write(Buffer.alloc(padding));
  }
}

/** Reads up to the buffer's length; fewer bytes when the file ends. */
function readFully(fd: number, buffer: Buffer): number {
  let done = 0;
  while (done < buffer.length) {
    const count = readSync(fd, buffer, done, buffer.length - done, done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
