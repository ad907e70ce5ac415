/**
 * Copies a tree in passes: the first while its containers run, later ones take what changed since, so that the one inside the
 * freeze is short however large the tree is. Where the file system can, files share their blocks (reflinks).
 *
 * Guarantees: after a pass over a tree that stands still the copy equals it in everything that an archive holds. What counts as
 * unchanged has the inode, size, mtime and ctime that it had, and a ctime from before the first pass began and synced the file
 * system: later ones are taken again, since the kernel's clock is coarse, and since a page that was already mapped and dirty
 * changes without moving any time (a sync write-protects it). Ends with the agent.
 * Does not guarantee: durability, nor removal after a failure; both copy and index are the caller's to throw away.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { setImmediate as others } from 'node:timers/promises';
import { DataCopier } from './copy-data.ts';
import { comesBefore, type IndexEntry, IndexWriter, readIndex, signatureOf } from './copy-index.ts';
import { DirFds } from './dir-fds.ts';
import { FileWriter, type Metadata } from './file-writer.ts';
import { throughHolder } from './holder.ts';
import { makeHardLink, makeSymlink } from './link-writer.ts';
import { openRoot } from './open-root.ts';
import { refusal } from './refusal.ts';
import { emptyTree } from './remove-tree.ts';
import { Skips } from './skips.ts';
import {
  AT_REMOVEDIR,
  close,
  cString,
  dieWithParent,
  EMPTY_NAME,
  fremovexattr,
  fxattrs,
  lxattrs,
  mkdirat,
  O,
  openat,
  readlinkat,
  S,
  type Stat,
  SystemCallError,
  statx,
  syncfs,
  unlinkat,
  type Xattr,
} from './syscalls.ts';
import { vanishing } from './tree-list.ts';
import { type WalkItem, walkTree } from './tree-walk.ts';
import type { CopyOptions, CopySummary, Progress } from './types.ts';

const ENTRIES_BETWEEN_YIELDS = 256;
/** Clocks of file systems tick every few milliseconds. */
const COARSE_SECONDS = 1;

export type CopyRequest = Pick<
  CopyOptions,
  'source' | 'destination' | 'index' | 'previousIndex' | 'reflink' | 'reserveBytes'
>;

/** @throws RefloatError DISK_FULL, FILE_SYSTEM_FAILED */
export async function copyTree(request: CopyRequest, onProgress: Progress): Promise<CopySummary> {
  dieWithParent();
  process.umask(0);
  const from = openRoot(request.source);
  try {
    const to = throughHolder(request.destination, (at) => {
      if (request.previousIndex === null) mkdirSync(at, { mode: 0o700 });
      return openSync(at, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    });
    try {
      return await new Copier(from, to, request, onProgress).run();
    } finally {
      closeSync(to);
    }
  } catch (error) {
    throw copyError(error);
  } finally {
    closeSync(from);
  }
}

function copyError(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return refusal('DISK_FULL', 'disk-full', 'the file system of the copy is full', null, error);
  if (error instanceof SystemCallError)
    return refusal('FILE_SYSTEM_FAILED', 'file-system', `the file system failed (${error.message})`, null, error);
  return error;
}

/** A directory whose entries are being visited. */
interface Open {
  readonly path: string;
  readonly stat: Stat;
  /** Something in the copy was made or removed in it, or it is not as it was. */
  touched: boolean;
}

class Copier {
  readonly #request: CopyRequest;
  readonly #from: DirFds;
  readonly #files: FileWriter;
  readonly #to: DirFds;
  readonly #toRoot: number;
  readonly #onProgress: Progress;
  readonly #skips = new Skips();
  readonly #data: DataCopier;
  readonly #before: Generator<IndexEntry> | null;
  #next: IndexEntry | null = null;
  /** Directory of the copy that was removed whole: what the index names below it is gone with it. */
  #removed: string | null = null;
  readonly #open: Open[] = [];
  /** First names of hard-linked files and symlinks that were taken again, and those that could not be read. */
  readonly #taken = new Set<string>();
  readonly #missing = new Set<string>();
  readonly #counts = { entries: 0, taken: 0 };

  constructor(from: number, to: number, request: CopyRequest, onProgress: Progress) {
    this.#request = request;
    this.#from = new DirFds(from);
    this.#files = new FileWriter(to, (path, reason, detail) => this.#skips.add(path, reason, detail));
    this.#to = this.#files.dirs;
    this.#toRoot = to;
    this.#onProgress = onProgress;
    this.#data = new DataCopier(request, to, () => this.#yield());
    this.#before = request.previousIndex === null ? null : readIndex(request.previousIndex);
  }

  async run(): Promise<CopySummary> {
    const threshold = Date.now() / 1000 - COARSE_SECONDS;
    const index = this.#request.index === null ? null : new IndexWriter(this.#request.index);
    try {
      if (index !== null) syncfs(this.#from.root);
      if (this.#before === null) dropUnwanted(this.#toRoot, []);
      this.#advance();
      for (const item of walkTree(this.#from, this.#skips)) {
        if (this.#counts.entries % ENTRIES_BETWEEN_YIELDS === 0) await this.#yield();
        this.#counts.entries += 1;
        const before = this.#known(item.path);
        this.#leaveUntil(item.path);
        const signature = signatureOf(item, threshold);
        if (await this.#bring(item, before, signature)) index?.add({ path: item.path, signature });
      }
      for (; this.#next !== null; this.#advance()) this.#drop(this.#next);
      this.#leaveUntil(null);
      await this.#yield();
    } finally {
      index?.close();
      this.#before?.return(undefined);
      this.#from.close();
      this.#files.close();
    }
    const { copiedBytes, clonedBytes } = this.#data;
    return { ...this.#counts, copiedBytes, clonedBytes, skipped: this.#skips.list() };
  }

  async #yield(): Promise<void> {
    this.#onProgress(this.#data.copiedBytes + this.#data.clonedBytes, this.#counts.entries);
    await others();
  }

  #advance(): void {
    const step = this.#before?.next();
    this.#next = step === undefined || step.done === true ? null : step.value;
  }

  /** What the pass before saw at this path, having removed from the copy what is gone since. */
  #known(path: string): string | null {
    while (this.#next !== null && this.#next.path !== path && comesBefore(this.#next.path, path)) {
      this.#drop(this.#next);
      this.#advance();
    }
    if (this.#next === null || this.#next.path !== path) return null;
    const { signature } = this.#next;
    this.#advance();
    return signature;
  }

  #drop({ path, signature }: IndexEntry): void {
    if (this.#removed !== null && path.startsWith(this.#removed)) return;
    this.#remove(path, signature);
  }

  /** Removes an entry from the copy; fine if it is gone. */
  #remove(path: string, signature: string): void {
    this.#touch(path);
    const { dir, name } = this.#to.locate(path);
    try {
      if (signature[0] !== 'd') {
        unlinkat(dir, name);
        return;
      }
      emptyTree(`/proc/self/fd/${this.#to.get(path)}/.`);
      this.#to.forget(path);
      this.#removed = `${path}/`;
      const located = this.#to.locate(path);
      unlinkat(located.dir, located.name, AT_REMOVEDIR);
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.code !== 'ENOENT') throw error;
    }
  }

  /** The parent's times move when an entry is made or removed, so they are to be set again. */
  #touch(path: string): void {
    const slash = path.lastIndexOf('/');
    const parent = slash < 0 ? '' : path.slice(0, slash);
    const open = this.#open.findLast((each) => each.path === parent);
    if (open !== undefined) open.touched = true;
  }

  /** The walk has left these directories: their metadata comes last. Null leaves all. */
  #leaveUntil(path: string | null): void {
    for (let last = this.#open.at(-1); last !== undefined; last = this.#open.at(-1)) {
      if (path !== null && (last.path === '' || path.startsWith(`${last.path}/`))) return;
      this.#open.pop();
      if (last.touched) this.#finishDirectory(last);
    }
  }

  #finishDirectory({ path, stat }: Open): void {
    const xattrs = vanishing(path, this.#skips, () => {
      const fd = openat(this.#from.get(path), cString('.'), O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
      try {
        return fxattrs(fd);
      } finally {
        close(fd);
      }
    });
    if (xattrs === null) return;
    const fd = openat(this.#to.get(path), cString('.'), O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    try {
      dropUnwanted(fd, xattrs);
      this.#files.apply(fd, path, metadataOf(stat, xattrs), true);
    } finally {
      close(fd);
    }
  }

  /** Makes the copy's entry like the item; false if the item vanished. */
  async #bring(item: WalkItem, before: string | null, signature: string): Promise<boolean> {
    const { path, kind } = item;
    const same = before === signature && signature.length > 1 && !(item.target !== '' && this.#taken.has(item.target));
    if (kind === 'directory') {
      this.#open.push({ path, stat: item.stat, touched: !same });
      if (path !== '' && before?.[0] !== 'd') {
        this.#makeWay(path, before);
        const { dir, name } = this.#to.locate(path);
        mkdirat(dir, name, 0o700);
      }
      return true;
    }
    if (same) return true;
    this.#makeWay(path, before);
    this.#counts.taken += 1;
    if (item.target !== '' && !this.#missing.has(item.target)) {
      makeHardLink(this.#to, path, item.target, kind === 'symlink' ? S.IFLNK : S.IFREG);
      return true;
    }
    if (item.stat.nlink > 1) this.#taken.add(path);
    const done = kind === 'symlink' ? this.#symlink(item) : await this.#file(item);
    if (!done && item.stat.nlink > 1) this.#missing.add(path);
    return done;
  }

  #makeWay(path: string, before: string | null): void {
    if (before !== null) this.#remove(path, before);
    else this.#touch(path);
  }

  #symlink({ path, stat }: WalkItem): boolean {
    const found = vanishing(path, this.#skips, () => {
      const { dir, name } = this.#from.locate(path);
      return { target: readlinkat(dir, name), xattrs: lxattrs(this.#from.procPath(path)) };
    });
    if (found === null) return false;
    const link = { path, target: found.target.toString('latin1'), meta: metadataOf(stat, found.xattrs) };
    makeSymlink(this.#to, link, (...skip) => this.#skips.add(...skip));
    return true;
  }

  async #file(item: WalkItem): Promise<boolean> {
    const { path } = item;
    const fd = vanishing(path, this.#skips, () => {
      const { dir, name } = this.#from.locate(path);
      return openat(dir, name, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
    });
    if (fd === null) return false;
    try {
      const stat = statx(fd, EMPTY_NAME);
      if (stat.ino !== item.stat.ino || (stat.mode & S.IFMT) !== S.IFREG) {
        this.#skips.add(path, 'vanished');
        return false;
      }
      const xattrs = fxattrs(fd);
      const out = this.#files.create(path, 0o600);
      try {
        await this.#data.copy(fd, out, stat);
        // The directory may have a default ACL by now, which new files in it take on.
        if (this.#before !== null) dropUnwanted(out, xattrs);
        this.#files.apply(out, path, metadataOf(stat, xattrs), true);
      } finally {
        close(out);
      }
      if (!sameTimes(stat, statx(fd, EMPTY_NAME))) this.#skips.add(path, 'changed');
      return true;
    } finally {
      close(fd);
    }
  }
}

function metadataOf(stat: Stat, xattrs: readonly Xattr[]): Metadata {
  return {
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    seconds: stat.mtimeSeconds,
    nanoseconds: stat.mtimeNanoseconds,
    xattrs: xattrs.map(({ name, value }) => [name.toString('latin1'), value.toString('latin1')] as const),
  };
}

const sameTimes = (a: Stat, b: Stat): boolean =>
  a.size === b.size &&
  a.mtimeSeconds === b.mtimeSeconds &&
  a.mtimeNanoseconds === b.mtimeNanoseconds &&
  a.ctimeSeconds === b.ctimeSeconds &&
  a.ctimeNanoseconds === b.ctimeNanoseconds;

/** Takes off what a new entry inherited (default ACLs), and what the original does not have any more. */
function dropUnwanted(fd: number, wanted: readonly Xattr[]): void {
  for (const { name } of fxattrs(fd)) {
    if (name.toString('latin1').startsWith('security.')) continue;
    if (wanted.some((xattr) => xattr.name.equals(name))) continue;
    try {
      fremovexattr(fd, cString(name));
    } catch (error) {
      // xfs lists an ACL under two names, and both go at once.
      if (!(error instanceof SystemCallError) || error.code !== 'ENODATA') throw error;
    }
  }
}
