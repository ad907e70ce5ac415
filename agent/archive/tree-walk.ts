/**
 * Walks a directory tree the way an archive wants it: a directory before what is in it, names in byte order.
 *
 * Guarantees: follows no symlink, stays on the root's mount, tolerates entries that vanish; names are latin1 bytes.
 */
import { readdirSync } from 'node:fs';
import type { DirFds } from './dir-fds.ts';
import type { Skips } from './skips.ts';
import { close, cString, EMPTY_NAME, O, openat, S, type Stat, scratchName, statx } from './syscalls.ts';

export interface WalkItem {
  /** '' for the root. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'symlink' | 'hardlink';
  readonly stat: Stat;
  /** Path of the first name of the same inode, for a hard link and for a further name of a symlink; '' for all others. */
  readonly target: string;
}

const SPECIAL: Readonly<Record<number, string>> = {
  [S.IFSOCK]: 'socket',
  [S.IFIFO]: 'fifo',
  [S.IFBLK]: 'device',
  [S.IFCHR]: 'device',
};

interface Level {
  readonly path: string;
  readonly names: string[];
  next: number;
}

export function* walkTree(dirs: DirFds, skips: Skips): Generator<WalkItem> {
  const rootStat = statx(dirs.root, EMPTY_NAME);
  yield { path: '', kind: 'directory', stat: rootStat, target: '' };
  const links = new Map<string, { path: string; left: number }>();
  const stack: Level[] = [{ path: '', names: volumeNames(dirs, rootStat, skips), next: 0 }];
  for (let level = stack.at(-1); level !== undefined; level = stack.at(-1)) {
    const name = level.names[level.next];
    if (name === undefined) {
      stack.pop();
      continue;
    }
    level.next += 1;
    const path = level.path === '' ? name : `${level.path}/${name}`;
    const stat = statOrVanished(dirs, level.path, name, path, skips);
    if (stat === null) continue;
    const type = stat.mode & S.IFMT;
    const special = SPECIAL[type];
    if (special !== undefined) {
      skips.add(path, special);
      continue;
    }
    const mounted = stat.mount !== rootStat.mount;
    if (mounted) skips.add(path, 'mount-point');
    if (type === S.IFDIR) {
      yield { path, kind: 'directory', stat, target: '' };
      if (mounted) continue;
      const names = vanishing(path, skips, () => listNames(dirs, path));
      if (names !== null) stack.push({ path, names, next: 0 });
    } else if (mounted) {
      // A file mounted over another belongs to someone else.
    } else {
      const target = firstName(path, stat, links);
      if (type === S.IFLNK) yield { path, kind: 'symlink', stat, target };
      else yield { path, kind: target === '' ? 'file' : 'hardlink', stat, target };
    }
  }
}

/**
 * What a volume's root holds of the volume. Not: trees that the agent keeps inside a mount point for an undo, and the
 * directory that a file system keeps for itself at its root.
 */
function volumeNames(dirs: DirFds, root: Stat, skips: Skips): string[] {
  const isMountPoint = statx(dirs.root, cString('..')).mount !== root.mount;
  return listNames(dirs, '').filter((name) => {
    if (isMountPoint && name === 'lost+found') skips.add(name, 'file-system');
    return !OWN_NAME.test(name) && !(isMountPoint && name === 'lost+found');
  });
}

/** See the restore's private directories. */
const OWN_NAME = /^\.refloat-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Path under which the same inode was seen first, '' if this is it. */
function firstName(path: string, stat: Stat, links: Map<string, { path: string; left: number }>): string {
  if (stat.nlink < 2) return '';
  const key = stat.identity;
  const first = links.get(key);
  if (first === undefined) {
    links.set(key, { path, left: stat.nlink - 1 });
    return '';
  }
  first.left -= 1;
  if (first.left === 0) links.delete(key);
  return first.path;
}

function statOrVanished(dirs: DirFds, parent: string, name: string, path: string, skips: Skips): Stat | null {
  return vanishing(path, skips, () => statx(dirs.get(parent), scratchName(name)));
}

/** The action's result, or null with a note when the entry is gone or not the one that was listed. */
export function vanishing<T>(path: string, skips: Skips, action: () => T): T | null {
  try {
    return action();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP' && code !== 'ESTALE') throw error;
    skips.add(path, 'vanished');
    return null;
  }
}

function listNames(dirs: DirFds, path: string): string[] {
  // An O_PATH descriptor does not list, but "." through it opens.
  const fd = openat(dirs.get(path), cString('.'), O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  try {
    const names = readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' });
    return names.sort((a, b) => (a < b ? -1 : 1));
  } finally {
    close(fd);
  }
}
