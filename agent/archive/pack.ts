/**
 * Archives a tree, in the child process.
 *
 * Guarantees: the archive is well formed whatever happens to the tree meanwhile; every name, byte, owner, mode, time, attribute, link and
 * hole of what held still is in it; what did not, or cannot be archived, is named in `skipped`; the file is durable on return.
 * Does not guarantee: one moment for the whole tree; that is the freeze's business.
 */
import { closeSync, openSync, readSync, unlinkSync } from 'node:fs';
import { DirFds } from './dir-fds.ts';
import { FrameSink } from './frame-sink.ts';
import { BLOCK } from './header.ts';
import { LongestPathSeen } from './longest-path.ts';
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
  type Xattr,
} from './syscalls.ts';
import { encodeHeader, encodeSparseMap, type HeaderFields, headerLength, writeHeader } from './tar-writer.ts';
import { noCounts } from './tree-counts.ts';
import { vanishing, type WalkItem, walkTree } from './tree-walk.ts';
import type { ArchiveSummary } from './types.ts';

export type Progress = (bytesDone: number, entriesDone: number) => void;

/** Read whole before their header is written, so that a file that changes under us is read again. */
const SMALL_BYTES = 1_048_576;
const READ_BYTES = 1_048_576;

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
  #done = 0;
  #reported = 0;

  constructor(root: number, sink: FrameSink, onProgress: Progress) {
    this.#dirs = new DirFds(root);
    this.#sink = sink;
    this.#onProgress = onProgress;
  }

  async run(): Promise<ArchiveSummary> {
    try {
      for (const item of walkTree(this.#dirs, this.#skips)) {
        this.#longest.add(item.path);
        if (item.kind === 'file' || (item.kind === 'hardlink' && this.#missing.has(item.target)))
          await this.#file(item);
        else if (item.kind === 'directory') await this.#directory(item);
        else if (item.kind === 'symlink') await this.#symlink(item);
        else await this.#hardLink(item);
      }
    } finally {
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

  #fields(item: WalkItem, stat: Stat, type: HeaderFields['type'], xattrs: readonly Xattr[], size = 0): HeaderFields {
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
    await this.#sink.write(encodeHeader(this.#fields(item, item.stat, '5', xattrs)));
  }

  async #symlink(item: WalkItem): Promise<void> {
    const found = vanishing(item.path, this.#skips, () => {
      const { dir, name } = this.#dirs.locate(item.path);
      return { target: readlinkat(dir, name), xattrs: lxattrs(this.#dirs.procPath(item.path)) };
    });
    if (found === null) return;
    this.#count('symlinks', found.xattrs.length);
    const linkName = found.target.toString('latin1');
    const fields = { ...this.#fields(item, item.stat, '2', found.xattrs), linkName };
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
    await this.#sink.write(encodeHeader({ ...this.#fields(item, item.stat, '1', []), linkName: item.target }));
  }

  async #file(item: WalkItem): Promise<void> {
    const fd = vanishing(item.path, this.#skips, () => {
      const { dir, name } = this.#dirs.locate(item.path);
      return openat(dir, name, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
    });
    if (fd === null) {
      if (item.stat.nlink > 1) this.#missing.add(item.path);
      return;
    }
    try {
      if (item.stat.size <= SMALL_BYTES && !maybeSparse(item.stat) && this.#quick(fd, item)) return;
      const stat = statx(fd, EMPTY_NAME);
      if (stat.ino !== item.stat.ino || (stat.mode & 0o170000) !== 0o100000) this.#skips.add(item.path, 'vanished');
      else if (stat.size <= SMALL_BYTES && !maybeSparse(stat)) await this.#small(fd, item, stat);
      else await this.#large(fd, item, stat);
    } finally {
      close(fd);
    }
  }

  /**
   * A small file that holds still, read straight into the block behind its header: no copy, no promise, one stat after the read.
   * False, with nothing done, when it did not hold still or does not fit.
   */
  #quick(fd: number, item: WalkItem): boolean {
    const { stat } = item;
    const xattrs = fxattrs(fd);
    const fields = this.#fields(item, stat, '0', xattrs, stat.size);
    const header = headerLength(fields);
    const padding = (BLOCK - (stat.size % BLOCK)) % BLOCK;
    const { block, used } = this.#sink.room();
    // One byte more than the file has, to see whether it grew.
    if (used + header.length + stat.size + padding + 1 >= block.length) return false;
    const start = used + header.length;
    if (readSync(fd, block, start, stat.size + 1, 0) !== stat.size) return false;
    const after = statx(fd, EMPTY_NAME);
    if (
      after.ino !== stat.ino ||
      after.size !== stat.size ||
      !unchanged(stat, after) ||
      after.mode !== stat.mode ||
      after.uid !== stat.uid ||
      after.gid !== stat.gid
    )
      return false;
    writeHeader(block, used, fields, header);
    block.fill(0, start + stat.size, start + stat.size + padding);
    this.#sink.advance(header.length + stat.size + padding);
    this.#count('files', xattrs.length);
    this.#counts.contentBytes += stat.size;
    this.#progress(stat.size);
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
      if (length === stat.size && unchanged(stat, after)) break;
      if (attempt === 2) this.#skips.add(item.path, 'changed');
      data = data.subarray(0, length);
      if (after.size > SMALL_BYTES || attempt === 2) break;
      stat = after;
    }
    const xattrs = fxattrs(fd);
    this.#count('files', xattrs.length);
    this.#counts.contentBytes += data.length;
    await this.#sink.write(encodeHeader({ ...this.#fields(item, stat, '0', xattrs), size: data.length }));
    await this.#sink.write(data);
    await this.#pad(data.length);
    this.#progress(data.length);
  }

  async #large(fd: number, item: WalkItem, stat: Stat): Promise<void> {
    const segments = maybeSparse(stat) ? scanSegments(fd, stat.size) : null;
    const xattrs = fxattrs(fd);
    this.#count('files', xattrs.length);
    this.#counts.contentBytes += stat.size;
    const fields = this.#fields(item, stat, '0', xattrs);
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
    if (!complete || !unchanged(stat, statx(fd, EMPTY_NAME))) this.#skips.add(item.path, 'changed');
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

const unchanged = (before: Stat, after: Stat): boolean =>
  before.size === after.size &&
  before.mtimeSeconds === after.mtimeSeconds &&
  before.mtimeNanoseconds === after.mtimeNanoseconds;

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
