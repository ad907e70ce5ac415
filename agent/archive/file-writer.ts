/**
 * Creates regular files below a staging root, data and metadata, with synchronous calls.
 *
 * Guarantees: a file is only ever created, never opened where one was; ownership, mode, attributes and time are set on its descriptor.
 * Does not guarantee: durability; the extraction syncs the file system once at its end.
 */
import { DirFds } from './dir-fds.ts';
import { cString, fchmod, fchown, fsetxattr, futimens, O, openat, pwrite, SystemCallError, write } from './syscalls.ts';

/** Plain JSON, since it crosses threads and waits in spools. Names and values of attributes are latin1 bytes. */
export interface Metadata {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly xattrs: readonly (readonly [name: string, value: string])[];
}

export type OnSkip = (path: string, reason: string, detail?: string) => void;

const euid = process.geteuid?.() ?? 0;
const egid = process.getegid?.() ?? 0;

/** Writes all of `bytes` at `offset`; null appends. */
export function writeAll(fd: number, bytes: Uint8Array, offset: number | null): void {
  for (let done = 0; done < bytes.length; ) {
    const rest = done === 0 ? bytes : bytes.subarray(done);
    const count = offset === null ? write(fd, rest, rest.length) : pwrite(fd, rest, rest.length, offset + done);
    if (count <= 0) throw new SystemCallError('write', 5);
    done += count;
  }
}

export class FileWriter {
  readonly dirs: DirFds;
  readonly #onSkip: OnSkip;

  constructor(root: number, onSkip: OnSkip) {
    this.dirs = new DirFds(root);
    this.#onSkip = onSkip;
  }

  /** A new, empty file; EEXIST if anything is there. */
  create(path: string, mode: number): number {
    const { dir, name } = this.dirs.locate(path);
    return openat(dir, name, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, mode & 0o777);
  }

  /** All of a small file's data, then its metadata. */
  fill(fd: number, path: string, meta: Metadata, data: Buffer): void {
    if (data.length > 0) writeAll(fd, data, null);
    this.finish(fd, path, meta);
  }

  /** Sets the metadata; the mode was given at creation, apart from the set-id and sticky bits. */
  finish(fd: number, path: string, meta: Metadata): void {
    this.apply(fd, path, meta, (meta.mode & ~0o777) !== 0);
  }

  /** Owner, mode, attributes, time, in the order in which none undoes the one before: chown clears set-id bits and capabilities. */
  apply(fd: number, path: string, meta: Metadata, setMode: boolean): void {
    if (meta.uid !== euid || meta.gid !== egid) {
      try {
        fchown(fd, meta.uid, meta.gid);
      } catch (error) {
        if (euid === 0 || !(error instanceof SystemCallError) || error.code !== 'EPERM') throw error;
        this.#onSkip(path, 'owner-refused');
      }
    }
    if (setMode) fchmod(fd, meta.mode);
    for (const [name, value] of meta.xattrs)
      this.#xattr(path, name, () => fsetxattr(fd, cString(name), Buffer.from(value, 'latin1')));
    futimens(fd, meta.seconds, meta.nanoseconds);
  }

  #xattr(path: string, name: string, set: () => void): void {
    trySetXattr(path, name, set, this.#onSkip);
  }

  close(): void {
    this.dirs.close();
  }
}

const XATTR_REFUSALS: ReadonlySet<string> = new Set([
  'EOPNOTSUPP',
  'EPERM',
  'EINVAL',
  'ERANGE',
  'E2BIG',
  'ENOSPC',
  'EACCES',
  'ENODATA',
]);

/** What a file system refuses of attributes is reported, not fatal: the data is complete without. */
export function trySetXattr(path: string, name: string, set: () => void, onSkip: OnSkip): void {
  try {
    set();
  } catch (error) {
    if (!(error instanceof SystemCallError) || !XATTR_REFUSALS.has(error.code)) throw error;
    onSkip(path, 'xattr-refused', `${name.replace(/[^ -~]/g, '?')}: ${error.code}`);
  }
}
