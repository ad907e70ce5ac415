/**
 * Creates symbolic and hard links below a root, with synchronous calls.
 *
 * Guarantees: follows no symlink; a link's name is only ever created, never taken from what was there.
 */
import type { DirFds } from './dir-fds.ts';
import { type Metadata, type OnSkip, trySetXattr } from './file-writer.ts';
import {
  close,
  cString,
  lchownat,
  linkat,
  lsetxattr,
  lutimensat,
  O,
  openat,
  S,
  SystemCallError,
  statx,
  symlinkat,
} from './syscalls.ts';

const euid = process.geteuid?.() ?? 0;

/** Another name for the regular file or symlink `target`, which must be there and of that type. Latin1 paths below the root of `dirs`. */
export function makeHardLink(dirs: DirFds, path: string, target: string, type: typeof S.IFREG | typeof S.IFLNK): void {
  // Each descriptor is only valid until the next is asked for, so the target's parent is opened on its own.
  const located = dirs.locate(target);
  const from = { dir: located.dir, name: cString(target.slice(target.lastIndexOf('/') + 1)) };
  const fromDir = openat(from.dir, cString('.'), O.PATH | O.DIRECTORY | O.NOFOLLOW);
  try {
    if ((statx(fromDir, from.name).mode & S.IFMT) !== type) throw new SystemCallError('linkat', 1);
    const to = dirs.locate(path);
    linkat(fromDir, from.name, to.dir, to.name);
  } finally {
    close(fromDir);
  }
}

/** The target is stored as it is. */
export function makeSymlink(
  dirs: DirFds,
  { path, target, meta }: { readonly path: string; readonly target: string; readonly meta: Metadata },
  onSkip: OnSkip,
): void {
  const { dir, name } = dirs.locate(path);
  symlinkat(cString(target), dir, name);
  try {
    lchownat(dir, name, meta.uid, meta.gid);
  } catch (error) {
    if (euid === 0 || !(error instanceof SystemCallError) || error.code !== 'EPERM') throw error;
    onSkip(path, 'owner-refused');
  }
  const full = meta.xattrs.length === 0 ? null : dirs.procPath(path);
  for (const [key, value] of full === null ? [] : meta.xattrs)
    trySetXattr(
      path,
      key,
      () => lsetxattr(full ?? Buffer.alloc(1), cString(key), Buffer.from(value, 'latin1')),
      onSkip,
    );
  const { dir: again, name: same } = dirs.locate(path);
  lutimensat(again, same, meta.seconds, meta.nanoseconds);
}
