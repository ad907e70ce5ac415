/** Counts a tree as pack would, without reading its files. */
import { closeSync } from 'node:fs';
import { DirFds } from './dir-fds.ts';
import { SumsOfMetadata } from './metadata-sums.ts';
import { openRoot } from './open-root.ts';
import { Skips } from './skips.ts';
import { maybeSparse, scanSegments } from './sparse-scan.ts';
import { close, lxattrs, O, openat, readlinkat, type Stat } from './syscalls.ts';
import { noCounts } from './tree-counts.ts';
import { vanishing } from './tree-list.ts';
import { walkTree } from './tree-walk.ts';
import type { Measured } from './types.ts';

/** @throws RefloatError FILE_SYSTEM_FAILED */
export function measureTree(root: string): Measured {
  const rootFd = openRoot(root);
  const dirs = new DirFds(rootFd);
  const skips = new Skips();
  const counts = { ...noCounts(), allocatedBytes: 0 };
  const metadata = new SumsOfMetadata();
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
      metadata.add(path, {
        uid: stat.uid,
        gid: stat.gid,
        mode: kind === 'symlink' ? null : stat.mode & 0o7777,
        seconds: stat.mtimeSeconds,
        nanoseconds: stat.mtimeNanoseconds,
        linkTarget: kind === 'symlink' ? vanishing(path, skips, () => linkTarget(dirs, path)) : null,
      });
      counts.allocatedBytes += stat.blocks * 512;
      counts.xattrs += vanishing(path, skips, () => countXattrs(dirs, path)) ?? 0;
    }
  } finally {
    dirs.close();
    closeSync(rootFd);
  }
  return { ...counts, sums: metadata.sums };
}

function linkTarget(dirs: DirFds, path: string): string {
  const { dir, name } = dirs.locate(path);
  return readlinkat(dir, name).toString('latin1');
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
