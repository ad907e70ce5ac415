/**
 * Walks a directory tree the way an archive wants it, with a look at every entry: see tree-list.ts for what it guarantees.
 */
import type { DirFds } from './dir-fds.ts';
import { FirstNames } from './first-names.ts';
import type { Skips } from './skips.ts';
import { EMPTY_NAME, type Stat, scratchName, statx } from './syscalls.ts';
import { kindOf, type ListedEntry, listTree, pathOf, vanishing } from './tree-list.ts';

export interface WalkItem {
  /** Latin1 bytes, '' for the root. */
  readonly path: string;
  readonly kind: ListedEntry['kind'] | 'hardlink';
  readonly stat: Stat;
  /** Path of the first name of the same inode, for a hard link and for a further name of a symlink; '' for all others. */
  readonly target: string;
}

export function* walkTree(dirs: DirFds, skips: Skips): Generator<WalkItem> {
  const { mount } = statx(dirs.root, EMPTY_NAME);
  const links = new FirstNames();
  for (const entry of listTree(dirs, skips)) {
    const path = pathOf(entry);
    const stat = statOf(dirs, entry, mount, skips);
    if (stat === null) continue;
    if (entry.kind === 'directory') {
      yield { path, kind: 'directory', stat, target: '' };
      continue;
    }
    const target = links.of(stat);
    if (target === '') links.remember(path, stat);
    yield { path, kind: entry.kind === 'file' && target !== '' ? 'hardlink' : entry.kind, stat, target };
  }
}

/** Null with a note for what is not what was listed, and for a file that is mounted over another: it belongs to someone else. */
export function statOf(dirs: DirFds, entry: ListedEntry, mount: number, skips: Skips): Stat | null {
  const path = pathOf(entry);
  const stat = vanishing(path, skips, () =>
    path === '' ? statx(dirs.root, EMPTY_NAME) : statx(dirs.get(entry.parent), scratchName(entry.name)),
  );
  if (stat === null) return null;
  const isFine = kindOf(stat.mode) === entry.kind && (entry.kind === 'directory' || stat.mount === mount);
  if (isFine) return stat;
  skips.add(path, stat.mount === mount ? 'vanished' : 'mount-point');
  return null;
}
