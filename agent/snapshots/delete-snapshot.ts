/**
 * Removes a snapshot from the host.
 *
 * Guarantees: it is gone from under its id, durably, before its first file is removed, so that a crash never leaves half a
 * snapshot that looks whole. Fine if it is gone already.
 */
import { identify, renameDurably } from '../fs/durable.ts';
import { removeTree } from '../fs/remove-tree.ts';
import { crashPoint } from '../restore/crash-point.ts';
import { deletedPath, type SnapshotStore } from './store.ts';

/** True if there was anything to remove. */
export async function deleteSnapshot(store: SnapshotStore, id: string): Promise<boolean> {
  const path = store.directoryOf(id);
  const deleted = deletedPath(store, id);
  const leftover = identify(deleted) !== null;
  if (leftover) await removeTree(deleted);
  if (identify(path) === null) return leftover;
  renameDurably(path, deleted);
  crashPoint('snapshot:renamed-away');
  await removeTree(deleted);
  return true;
}
