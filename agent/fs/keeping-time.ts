/** Changes inside a directory that belongs to the user, which must not show in its time. */
import { syncDirectory } from './durable.ts';
import { emptyTree, removeTree } from './remove-tree.ts';
import { type RootMetadata, readRootMetadata, writeRootTime } from './root-metadata.ts';

/**
 * Owner, mode and attributes may be changed meanwhile by whoever the directory belongs to. A change of theirs that moves the time is
 * lost in it, so `work` is short.
 * @param before what the time is put back to; by default what it is now
 */
export async function keepingTime<T>(
  directory: string,
  work: () => T | Promise<T>,
  before: RootMetadata = readRootMetadata(directory),
): Promise<T> {
  try {
    return await work();
  } finally {
    writeRootTime(directory, before);
    syncDirectory(directory);
  }
}

/**
 * Removes the agent's own directory from a mount point. A crash may have come between the making or removing of it and the putting back
 * of the root's time: then the time is the one of before; else whatever it is by now.
 * @param before the root's, from before the directory was made
 * @param isBetween there is nothing in the directory: nothing was put there yet, or nothing is left of it
 */
export async function removeFromMountPoint(
  directory: string,
  root: string,
  { before, isBetween }: { readonly before: RootMetadata | undefined; readonly isBetween: boolean },
): Promise<void> {
  await emptyTree(directory);
  await keepingTime(root, () => removeTree(directory), isBetween ? before : undefined);
}
