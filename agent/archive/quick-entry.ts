/**
 * Puts an entry that holds still straight into a block, as tar: no copy, no promise, one stat after the read.
 *
 * Guarantees: what does not fit, fails, or is not what the walk saw is left to the caller, with nothing written or counted.
 */
import { readSync } from 'node:fs';
import type { DirFds } from './dir-fds.ts';
import { BLOCK } from './header.ts';
import { maybeSparse } from './sparse-scan.ts';
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
  statx,
  willNeed,
  type Xattr,
} from './syscalls.ts';
import { type HeaderFields, headerLength, writeHeader } from './tar-writer.ts';
import type { MutableCounts } from './tree-counts.ts';
import type { WalkItem } from './tree-walk.ts';

/** Read whole before their header is written, so that a file that changes under us is read again. */
export const SMALL_BYTES = 1_048_576;

/** Small files in memory are read in a tenth of it. */
const COLD_MS = 0.1;

/** What `QuickEntries` may be given; the rest takes more than one look. */
export function isQuick({ kind, stat }: WalkItem): boolean {
  if (kind === 'file') return stat.size <= SMALL_BYTES && !maybeSparse(stat);
  return kind !== 'symlink' || stat.nlink < 2;
}

/** Bytes that the entry will take in a block, unless it has a long name or attributes. */
export const quickLength = ({ kind, stat }: WalkItem): number =>
  3 * BLOCK + (kind === 'file' ? Math.ceil(stat.size / BLOCK) * BLOCK : 0);

export function fieldsOf(
  item: WalkItem,
  stat: Stat,
  type: HeaderFields['type'],
  xattrs: readonly Xattr[],
  size = 0,
): HeaderFields {
  return {
    type,
    name: item.kind === 'directory' ? `${item.path === '' ? '.' : item.path}/` : item.path,
    linkName: '',
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime: { seconds: stat.mtimeSeconds, nanoseconds: stat.mtimeNanoseconds },
    size,
    xattrs,
    symlinkName: null,
    sparseSize: null,
  };
}

export class QuickEntries {
  readonly #dirs: DirFds;
  #readMs = 0;
  /** Raised by what is put; may be replaced. */
  counts: MutableCounts;

  constructor(dirs: DirFds, counts: MutableCounts) {
    this.#dirs = dirs;
    this.counts = counts;
  }

  /** Whether the last file came from the disk, not from memory. */
  get isCold(): boolean {
    return this.#readMs > COLD_MS;
  }

  /** -1 for what is no file, or cannot be opened. @param ahead ask the kernel to read the file meanwhile */
  open({ kind, path }: WalkItem, ahead = false): number {
    if (kind !== 'file') return -1;
    try {
      const { dir, name } = this.#dirs.locate(path);
      const fd = openat(dir, name, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
      if (ahead) willNeed(fd);
      return fd;
    } catch (error) {
      if (isOfSystem(error)) return -1;
      throw error;
    }
  }

  /**
   * How far the block is filled now, or -1 for an entry that was not put.
   * @param fd from `open`, which is closed here
   */
  put(item: WalkItem, fd: number, block: Buffer, used: number): number {
    try {
      if (item.kind === 'file') return fd < 0 ? -1 : this.#file(item, fd, block, used);
      if (item.kind === 'directory') return this.#directory(item, block, used);
      if (item.kind === 'symlink') return this.#symlink(item, block, used);
      const fields = { ...fieldsOf(item, item.stat, '1', []), linkName: item.target };
      return this.#header(fields, block, used, 'hardLinks');
    } catch (error) {
      if (isOfSystem(error)) return -1;
      throw error;
    } finally {
      if (fd >= 0) close(fd);
    }
  }

  #header(
    fields: HeaderFields,
    block: Buffer,
    used: number,
    kind: 'directories' | 'symlinks' | 'hardLinks' | 'files',
  ): number {
    const header = headerLength(fields);
    if (used + header.length > block.length) return -1;
    writeHeader(block, used, fields, header);
    this.#count(kind, fields.xattrs.length);
    return used + header.length;
  }

  #count(kind: 'directories' | 'symlinks' | 'hardLinks' | 'files', xattrs: number): void {
    this.counts.entries += 1;
    this.counts[kind] += 1;
    this.counts.xattrs += xattrs;
  }

  #directory(item: WalkItem, block: Buffer, used: number): number {
    const fd = openat(this.#dirs.get(item.path), cString('.'), O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    try {
      return this.#header(fieldsOf(item, item.stat, '5', fxattrs(fd)), block, used, 'directories');
    } finally {
      close(fd);
    }
  }

  #symlink(item: WalkItem, block: Buffer, used: number): number {
    const { dir, name } = this.#dirs.locate(item.path);
    const linkName = readlinkat(dir, name).toString('latin1');
    const xattrs = lxattrs(this.#dirs.procPath(item.path));
    return this.#header({ ...fieldsOf(item, item.stat, '2', xattrs), linkName }, block, used, 'symlinks');
  }

  #file(item: WalkItem, fd: number, block: Buffer, used: number): number {
    const { stat } = item;
    const fields = fieldsOf(item, stat, '0', fxattrs(fd), stat.size);
    const header = headerLength(fields);
    const start = used + header.length;
    const end = start + Math.ceil(stat.size / BLOCK) * BLOCK;
    // One byte more than the file has, to see whether it grew.
    if (end + 1 > block.length) return -1;
    const began = performance.now();
    if (readSync(fd, block, start, stat.size + 1, 0) !== stat.size) return -1;
    this.#readMs = performance.now() - began;
    if (!heldStill(stat, statx(fd, EMPTY_NAME))) return -1;
    writeHeader(block, used, fields, header);
    block.fill(0, start + stat.size, end);
    this.#count('files', fields.xattrs.length);
    this.counts.contentBytes += stat.size;
    return end;
  }
}

/** Of koffi's calls or Node's. */
const isOfSystem = (error: unknown): boolean => error instanceof Error && 'syscall' in error;

const heldStill = (before: Stat, after: Stat): boolean =>
  after.ino === before.ino &&
  after.mode === before.mode &&
  after.uid === before.uid &&
  after.gid === before.gid &&
  sameData(before, after);

/** Whether size and time are the same. */
export const sameData = (before: Stat, after: Stat): boolean =>
  before.size === after.size &&
  before.mtimeSeconds === after.mtimeSeconds &&
  before.mtimeNanoseconds === after.mtimeNanoseconds;
