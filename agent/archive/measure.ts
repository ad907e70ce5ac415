/** Counts a tree as pack would, without reading its files. */
import { closeSync } from 'node:fs';
import { DirFds } from './dir-fds.ts';
import { openRoot } from './pack.ts';
import { Skips } from './skips.ts';
import { maybeSparse, scanSegments } from './sparse-scan.ts';
import { close, lxattrs, O, openat, type Stat } from './syscalls.ts';
import { noCounts } from './tree-counts.ts';
import { vanishing, walkTree } from './tree-walk.ts';
import type { TreeCounts } from './types.ts';

/** @throws RefloatError FILE_SYSTEM_FAILED */
export function measureTree(root: string): TreeCounts & { readonly allocatedBytes: number } {
  const rootFd = openRoot(root);
  const dirs = new DirFds(rootFd);
  const skips = new Skips();
  const counts = { ...noCounts(), allocatedBytes: 0 };
  try {
    for (const { path, kind, stat } of walkTree(dirs, skips)) {
      counts.entries += 1;
      if (kind === 'directory') counts.directories += 1;
      else if (kind === 'symlink') counts.symlinks += 1;
      else if (kind === 'hardlink') counts.hardLinks += 1;
      else {
        counts.files += 1;
        counts.contentBytes += stat.size;
        if (maybeSparse(stat) && isSparse(dirs, path, stat, skips)) counts.sparseFiles += 1;
      }
      if (kind === 'hardlink') continue;
      counts.allocatedBytes += stat.blocks * 512;
      counts.xattrs += vanishing(path, skips, () => countXattrs(dirs, path)) ?? 0;
    }
  } finally {
    dirs.close();
    closeSync(rootFd);
  }
  return counts;
}

function countXattrs(dirs: DirFds, path: string): number {
  if (path === '') return lxattrs(Buffer.from(`/proc/self/fd/${dirs.root}/.\0`)).length;
  return lxattrs(dirs.procPath(path)).length;
}

function isSparse(dirs: DirFds, path: string, stat: Stat, skips: Skips): boolean {
  return (
    vanishing(path, skips, () => {
      const { dir, name } = dirs.locate(path);
      const fd = openat(dir, name, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
      try {
        return scanSegments(fd, stat.size) !== null;
      } finally {
        close(fd);
      }
    }) ?? false
  );
}
