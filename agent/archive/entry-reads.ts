/** What is asked of an entry before it is archived. All throw SystemCallError when it is gone or not what it was listed as. */
import type { DirFds } from './dir-fds.ts';
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
  scratchName,
  statx,
  type Xattr,
} from './syscalls.ts';
import type { HeaderFields } from './tar-writer.ts';
import { type ListedEntry, openDirectory, pathOf } from './tree-list.ts';

/** Never waits, and never follows. */
export const openFile = (dirs: DirFds, { parent, name }: ListedEntry): number =>
  openat(dirs.get(parent), scratchName(name), O.RDONLY | O.NOFOLLOW | O.NONBLOCK);

export function readDirectory(
  dirs: DirFds,
  entry: ListedEntry,
): { readonly stat: Stat; readonly xattrs: readonly Xattr[] } {
  const fd = openDirectory(dirs, entry);
  try {
    return { stat: statx(fd, EMPTY_NAME), xattrs: fxattrs(fd) };
  } finally {
    close(fd);
  }
}

/** @returns target as latin1 bytes */
export function readSymlink(
  dirs: DirFds,
  { parent, name }: ListedEntry,
): { readonly target: string; readonly xattrs: readonly Xattr[] } {
  const dir = dirs.get(parent);
  const target = readlinkat(dir, scratchName(name)).toString('latin1');
  return { target, xattrs: lxattrs(cString(`/proc/self/fd/${dir}/${name}`)) };
}

/** For an entry of no size that links to nothing; spread it for others. */
export function fieldsOf(
  entry: ListedEntry,
  stat: Stat,
  type: HeaderFields['type'],
  xattrs: readonly Xattr[],
): HeaderFields {
  const path = pathOf(entry);
  return {
    type,
    name: entry.kind === 'directory' ? `${path === '' ? '.' : path}/` : path,
    linkName: '',
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime: { seconds: stat.mtimeSeconds, nanoseconds: stat.mtimeNanoseconds },
    size: 0,
    xattrs,
    symlinkName: null,
    sparseSize: null,
  };
}

/** Whether size and time are the same. */
export const sameData = (before: Stat, after: Stat): boolean =>
  before.size === after.size &&
  before.mtimeSeconds === after.mtimeSeconds &&
  before.mtimeNanoseconds === after.mtimeNanoseconds;
