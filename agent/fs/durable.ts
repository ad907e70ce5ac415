/**
 * The only place of the code base that renames and that syncs: every change that must survive a power cut goes through here.
 *
 * Guarantees: when a function returns, what it did is on the disk. When it throws, it is not known whether it is: a failed
 * fsync is final, since the kernel drops the error together with the pages, so callers throw the result away and make it anew.
 * All calls are synchronous: the order of the calls is the order on the disk, and nothing runs between two of them.
 * What makes, removes, renames or syncs a directory follows no symbolic link in a private directory above it; what exchanges names is
 * called while nobody can put one there.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { RefloatError } from '../../db/errors.ts';
import { throughHolder } from '../archive/holder.ts';
import { exchangePaths, renameWithoutReplacing } from './native.ts';

/** Makes names that were added to or removed from a directory durable. */
export function syncDirectory(path: string): void {
  const fd = throughHolder(path, (at) =>
    openSync(at, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW),
  );
  try {
    syncDescriptor(fd, path);
  } finally {
    closeSync(fd);
  }
}

/** fsync(2); an error becomes `FSYNC_FAILED`. */
export function syncDescriptor(fd: number, path: string): void {
  try {
    fsyncSync(fd);
  } catch (cause) {
    throw syncFailed(path, cause);
  }
}

/** The same in the thread pool, for what need not be durable before the next step; an error becomes `FSYNC_FAILED`. */
export async function syncDescriptorBeside(fd: number, path: string): Promise<void> {
  try {
    await promisify(fsync)(fd);
  } catch (cause) {
    throw syncFailed(path, cause);
  }
}

function syncFailed(path: string, cause: unknown): RefloatError {
  return new RefloatError('FSYNC_FAILED', `${path} could not be made durable`, {
    hint: 'Look at the kernel log for errors of this disk. What was being written is thrown away.',
    disposition: 'fail',
    cause,
  });
}

/**
 * Replaces or creates a file so that after a crash it holds either what it held or all of `data`.
 * @param temporary a name in the same directory; one that is always the same writes over what a crash left there
 */
export function writeFileDurably(
  path: string,
  data: string | Uint8Array,
  temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`),
): void {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  rmSync(temporary, { force: true });
  const fd = openSync(
    temporary,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    try {
      writeAll(fd, bytes);
      if (fstatSync(fd).size !== bytes.length) throw new Error(`short write to ${temporary}`);
      syncDescriptor(fd, temporary);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectory(dirname(path));
}

export function isNoSpace(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** Writes all bytes to a descriptor, however many calls it takes. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done);
}

/** Renames within one file system and makes both directories durable. */
export function renameDurably(from: string, to: string): void {
  throughHolder(from, (old) => throughHolder(to, (fresh) => renameSync(old, fresh)));
  syncDirectory(dirname(to));
  if (dirname(from) !== dirname(to)) syncDirectory(dirname(from));
}

/** Exchanges two names in one step; neither is ever missing. False where the file system cannot; then nothing was done. Not synced. */
export function exchangeNames(a: Buffer, b: Buffer): boolean {
  try {
    exchangePaths(a, b);
    return true;
  } catch (error) {
    if (isUnsupported(error)) return false;
    throw error;
  }
}

/** Renames, refusing to replace anything where the file system can refuse. Not synced. */
export function moveName(from: Buffer, to: Buffer): void {
  try {
    renameWithoutReplacing(from, to);
  } catch (error) {
    if (!isUnsupported(error)) throw error;
    if (identify(to) !== null) throw error;
    renameSync(from, to);
  }
}

function isUnsupported(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'EINVAL' || code === 'ENOSYS' || code === 'EOPNOTSUPP';
}

/** Creates one directory; fine if a directory is there already. Returns whether it was created. */
export function makeDirectoryDurably(path: string, mode = 0o755): boolean {
  let created = true;
  try {
    throughHolder(path, (at) => mkdirSync(at, { mode }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !lstatSync(path).isDirectory()) throw error;
    created = false;
  }
  syncDirectory(dirname(path));
  return created;
}

/** Creates a directory and what is missing above it; returns the directories that it created, outermost first. */
export function makeDirectoriesDurably(path: string, mode = 0o755): string[] {
  if (identify(path) !== null) {
    // Whoever made it may have been killed before its name was durable.
    syncDirectory(dirname(path));
    return [];
  }
  const above = makeDirectoriesDurably(dirname(path), mode);
  return makeDirectoryDurably(path, mode) ? [...above, path] : above;
}

/** Removes a directory if it is empty; true if it is gone now. */
export function removeEmptyDirectory(path: string | Buffer): boolean {
  try {
    if (typeof path === 'string') throughHolder(path, (at) => rmdirSync(at));
    else rmdirSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') {
      syncIfThere(dirname(path.toString()));
      return true;
    }
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw error;
  }
  syncDirectory(dirname(path.toString()));
  return true;
}

/** That a name is gone: whoever removed it may have been killed before that was durable. */
export function syncIfThere(directory: string): void {
  if (identify(directory) !== null) syncDirectory(directory);
}

/** Removes a file; fine if it is gone. */
export function removeFileDurably(path: string): void {
  try {
    throughHolder(path, (at) => unlinkSync(at));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    syncIfThere(dirname(path));
    return;
  }
  syncDirectory(dirname(path));
}

/**
 * What a path is, apart from its name, on whatever device it is mounted from: inode and moment of birth. A device's number may be
 * another one after the host has started again, so it counts only where a file system keeps no births. Plain JSON, so that the
 * journal can hold it.
 */
export interface Identity {
  readonly dev: string;
  readonly ino: string;
  /** Nanoseconds since 1970; `0` where the file system does not know. */
  readonly born: string;
}

/** The identity of what lies at a path (a symbolic link is not followed), or null. */
export function identify(path: string | Buffer): Identity | null {
  const stat = lstatSync(path, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? null : { dev: String(stat.dev), ino: String(stat.ino), born: String(stat.birthtimeNs) };
}

export function sameIdentity(a: Identity | null, b: Identity | null): boolean {
  if (a === null || b === null || a.ino !== b.ino || a.born !== b.born) return false;
  return a.born !== '0' || a.dev === b.dev;
}

/** `lstat`, or null if there is nothing. */
export function statOrNull(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null;
}
