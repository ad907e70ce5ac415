/**
 * Symbolic links that have several names, in pax records of our own: tar itself can only say so by a hard link to a symlink, which is
 * refused in every archive. Every name is archived as a whole symlink; a record says by which name the archive had it first.
 *
 * Guarantees: other readers give back one symlink per name; this one makes them one inode only if both say the same of it. Bounded memory.
 */
import type { Time } from './numbers.ts';
import type { Xattr } from './syscalls.ts';

export const SYMLINK_NAME_KEY = 'REFLOAT.symlink';

/** Of paths and targets that are remembered. */
const MAX_BYTES = 8 * 1024 * 1024;

interface NamedSymlink {
  readonly linkName: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  readonly xattrs: readonly Xattr[];
}

export class SymlinkNames {
  readonly #firsts = new Map<string, string>();
  #left = MAX_BYTES;

  /** False when too many are remembered. @param path latin1 bytes */
  remember(path: string, symlink: NamedSymlink): boolean {
    const said = whatItSays(symlink);
    this.#left -= path.length + said.length;
    if (this.#left < 0) return false;
    this.#firsts.set(path, said);
    return true;
  }

  /** Whether `path` was remembered as a symlink that is the same in everything. */
  isSame(path: string, symlink: NamedSymlink): boolean {
    return this.#firsts.get(path) === whatItSays(symlink);
  }
}

function whatItSays({ linkName, uid, gid, mtime, xattrs }: NamedSymlink): string {
  const attributes = xattrs.map(({ name, value }) => [name.toString('latin1'), value.toString('latin1')]);
  return JSON.stringify([linkName, uid, gid, mtime.seconds, mtime.nanoseconds, attributes]);
}
