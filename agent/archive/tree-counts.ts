/** Counting the entries of a tree: begun the same by pack, extract, verify and measure, so that their counts can be compared. */
import type { TreeCounts } from './types.ts';

export type MutableCounts = { -readonly [Name in keyof TreeCounts]: TreeCounts[Name] };

export function noCounts(): MutableCounts {
  return {
    entries: 0,
    files: 0,
    directories: 0,
    symlinks: 0,
    hardLinks: 0,
    sparseFiles: 0,
    xattrs: 0,
    contentBytes: 0,
  };
}

/** Of something that has more members only what was counted in the tree. */
export function countsOf(counted: TreeCounts): TreeCounts {
  const { entries, files, directories, symlinks, hardLinks, sparseFiles, xattrs, contentBytes } = counted;
  return { entries, files, directories, symlinks, hardLinks, sparseFiles, xattrs, contentBytes };
}

export function addCounts(to: MutableCounts, more: TreeCounts): void {
  for (const name of Object.keys(to) as (keyof TreeCounts)[]) to[name] += more[name];
}
