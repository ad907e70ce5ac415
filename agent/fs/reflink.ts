/** Whether files of a file system can share their blocks (xfs, btrfs and others). */
import { closeSync, openSync, writeSync } from 'node:fs';
import { cloneFile, O } from '../archive/syscalls.ts';

const O_TMPFILE = 0o20000000 | O.DIRECTORY;

/** Tries it with two files that never have a name, so that nothing is left whatever happens. */
export function canReflink(directory: string): boolean {
  const fds: number[] = [];
  try {
    const from = openSync(directory, O_TMPFILE | O.RDWR, 0o600);
    fds.push(from);
    const to = openSync(directory, O_TMPFILE | O.RDWR, 0o600);
    fds.push(to);
    writeSync(from, Buffer.alloc(4096, 1));
    return cloneFile(to, from);
  } catch {
    // Without such files (or without room for them) there is no telling; a copy works everywhere.
    return false;
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}
