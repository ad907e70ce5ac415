/**
 * Removes a directory with everything below it.
 *
 * Guarantees: works at any depth and with names of any bytes, follows no symlink in it nor in a private directory above it, leaves no
 * directory for its mode's sake.
 * Does not guarantee: anything when someone else keeps creating entries in it.
 */
import { closeSync, openSync, readdirSync, rmdirSync } from 'node:fs';
import { throughHolder } from './holder.ts';
import { AT_REMOVEDIR, close, cString, fchmod, O, openat, SystemCallError, unlinkat } from './syscalls.ts';

/** A path that does not exist is fine. Throws SystemCallError or a Node error otherwise. */
export function removeTree(path: string): void {
  throughHolder(path, (at) => {
    if (emptyAt(at)) rmdirSync(at);
  });
}

/** Removes what is in a directory; false if there is none. */
export const emptyTree = (path: string): boolean => throughHolder(path, emptyAt);

function emptyAt(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  try {
    emptyDirectory(fd);
  } finally {
    closeSync(fd);
  }
  return true;
}

/** An explicit stack instead of recursion would need a descriptor per level just the same; depth is bounded by what was written. */
function emptyDirectory(fd: number): void {
  for (const entry of readdirSync(`/proc/self/fd/${fd}`, { encoding: 'buffer', withFileTypes: true })) {
    const name = cString(entry.name);
    if (!entry.isDirectory()) {
      unlinkat(fd, name);
      continue;
    }
    const child = openChild(fd, name);
    try {
      emptyDirectory(child);
    } finally {
      close(child);
    }
    unlinkat(fd, name, AT_REMOVEDIR);
  }
}

function openChild(dir: number, name: Buffer): number {
  const flags = O.RDONLY | O.DIRECTORY | O.NOFOLLOW;
  try {
    return openat(dir, name, flags);
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.code !== 'EACCES') throw error;
    const fd = openat(dir, name, O.PATH | O.DIRECTORY | O.NOFOLLOW);
    try {
      // Not root, and a directory without permissions: give them to ourselves. O_PATH descriptors only work through /proc.
      fchmodPath(fd);
    } finally {
      close(fd);
    }
    return openat(dir, name, flags);
  }
}

function fchmodPath(fd: number): void {
  const real = openSync(`/proc/self/fd/${fd}/.`, O.RDONLY | O.DIRECTORY);
  fchmod(real, 0o700);
  closeSync(real);
}
