/**
 * Puts an entry that holds still straight into a block, as tar: no copy, no promise, a look before and one after the read.
 *
 * Guarantees: what fails, does not hold still, or takes more than that (several names, holes, another mount, size) is left to the caller,
 * with nothing written or counted.
 */
import { readSync } from 'node:fs';
import type { DirFds } from './dir-fds.ts';
import { fieldsOf, openFile, readDirectory, readSymlink, sameData } from './entry-reads.ts';
import { BLOCK } from './header.ts';
import { plainHeaderLength, writePlainHeader } from './plain-header.ts';
import { maybeSparse } from './sparse-scan.ts';
import { close, EMPTY_NAME, fxattrs, S, type Stat, scratchName, statx, willNeed } from './syscalls.ts';
import { type HeaderFields, headerLength, writeHeader } from './tar-writer.ts';
import type { MutableCounts } from './tree-counts.ts';
import { kindOf, type ListedEntry, pathOf } from './tree-list.ts';

/** Read whole before their header is written, so that a file that changes under us is read again. */
export const SMALL_BYTES = 1_048_576;

/** An entry that takes more than one look. */
export const NOT_QUICK = -1;
/** An entry that would be quick, had the block more room. */
export const NO_ROOM = -2;

export class QuickEntries {
  readonly #dirs: DirFds;
  readonly #mount: number;
  /** Raised by what is put; may be replaced. */
  counts: MutableCounts;

  /** @param mount that the root is on */
  constructor(dirs: DirFds, mount: number, counts: MutableCounts) {
    this.#dirs = dirs;
    this.#mount = mount;
    this.counts = counts;
  }

  /** -1 for what is no file, or cannot be opened. @param ahead ask the kernel to read the file meanwhile */
  open(entry: ListedEntry, ahead = false): number {
    if (entry.kind !== 'file') return -1;
    try {
      const fd = openFile(this.#dirs, entry);
      if (ahead) willNeed(fd);
      return fd;
    } catch (error) {
      if (isOfSystem(error)) return -1;
      throw error;
    }
  }

  /**
   * How far the block is filled now, or NOT_QUICK or NO_ROOM.
   * @param fd from `open`, which is closed here
   */
  put(entry: ListedEntry, fd: number, block: Buffer, used: number): number {
    try {
      if (entry.kind === 'file') return fd < 0 ? NOT_QUICK : this.#file(entry, fd, block, used);
      if (entry.kind === 'directory') return this.#directory(entry, block, used);
      return this.#symlink(entry, block, used);
    } catch (error) {
      if (isOfSystem(error)) return NOT_QUICK;
      throw error;
    } finally {
      if (fd >= 0) close(fd);
    }
  }

  #header(fields: HeaderFields, block: Buffer, used: number, kind: 'directories' | 'symlinks'): number {
    const header = headerLength(fields);
    if (used + header.length > block.length) return NO_ROOM;
    writeHeader(block, used, fields, header);
    this.#count(kind, fields.xattrs.length);
    return used + header.length;
  }

  #count(kind: 'directories' | 'symlinks' | 'files', xattrs: number): void {
    this.counts.entries += 1;
    this.counts[kind] += 1;
    this.counts.xattrs += xattrs;
  }

  #directory(entry: ListedEntry, block: Buffer, used: number): number {
    const { stat, xattrs } = readDirectory(this.#dirs, entry);
    return this.#header(fieldsOf(entry, stat, '5', xattrs), block, used, 'directories');
  }

  #symlink(entry: ListedEntry, block: Buffer, used: number): number {
    const stat = statx(this.#dirs.get(entry.parent), scratchName(entry.name));
    if (kindOf(stat.mode) !== 'symlink' || stat.nlink > 1 || stat.mount !== this.#mount) return NOT_QUICK;
    const { target, xattrs } = readSymlink(this.#dirs, entry);
    return this.#header({ ...fieldsOf(entry, stat, '2', xattrs), linkName: target }, block, used, 'symlinks');
  }

  #file(entry: ListedEntry, fd: number, block: Buffer, used: number): number {
    const stat = statx(fd, EMPTY_NAME);
    const { size } = stat;
    const isQuick = (stat.mode & S.IFMT) === S.IFREG && stat.nlink === 1 && stat.mount === this.#mount;
    if (!isQuick || size > SMALL_BYTES || maybeSparse(stat)) return NOT_QUICK;
    const xattrs = fxattrs(fd);
    const path = pathOf(entry);
    const plain = xattrs.length === 0 ? plainHeaderLength(path, stat) : 0;
    const fields = plain > 0 ? null : { ...fieldsOf(entry, stat, '0', xattrs), size };
    const header = fields === null ? null : headerLength(fields);
    const start = used + (header?.length ?? plain);
    const end = start + Math.ceil(size / BLOCK) * BLOCK;
    // One byte more than the file has, to see whether it grew.
    if (end + 1 > block.length) return NO_ROOM;
    if (readSync(fd, block, start, size + 1, 0) !== size) return NOT_QUICK;
    if (!heldStill(stat, statx(fd, EMPTY_NAME))) return NOT_QUICK;
    if (fields === null || header === null) writePlainHeader(block, used, path, stat, plain);
    else writeHeader(block, used, fields, header);
    block.fill(0, start + size, end);
    this.#count('files', xattrs.length);
    this.counts.contentBytes += size;
    return end;
  }
}

/** Of koffi's calls or Node's. */
const isOfSystem = (error: unknown): boolean => error instanceof Error && 'syscall' in error;

const heldStill = (before: Stat, after: Stat): boolean =>
  after.mode === before.mode && after.uid === before.uid && after.gid === before.gid && sameData(before, after);
