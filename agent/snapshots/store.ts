/**
 * Where snapshots lie on a host: `$REFLOAT_STATE_DIR/snapshots/<id>/` holds `manifest.json` and an archive per volume.
 * A directory under its own id is a complete snapshot; `.partial-<id>` is one that is being made, `.deleted-<id>` one that
 * is being removed, and neither is ever read.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isUuid } from '../../db/ids.ts';
import { makeDirectoriesDurably } from '../fs/durable.ts';
import { removeTree } from '../fs/remove-tree.ts';

export interface SnapshotStore {
  readonly directory: string;
  /** Where the snapshot of this id lies, or would. */
  directoryOf(id: string): string;
}

export function snapshotStore(stateDir: string): SnapshotStore {
  const directory = join(stateDir, 'snapshots');
  return { directory, directoryOf: (id) => join(directory, checkedId(id)) };
}

/** Creates the directory of the store if it is missing; private, since snapshots hold users' data. */
export function ensureStore(store: SnapshotStore): void {
  makeDirectoriesDurably(store.directory, 0o700);
}

export function partialPath(store: SnapshotStore, id: string): string {
  return join(store.directory, `.partial-${checkedId(id)}`);
}

/** Where the archives of an import are unpacked. */
export function importPath(store: SnapshotStore, id: string): string {
  return join(store.directory, `.import-${checkedId(id)}`);
}

export function deletedPath(store: SnapshotStore, id: string): string {
  return join(store.directory, `.deleted-${checkedId(id)}`);
}

/** Ids of the complete snapshots, oldest first. */
export function listSnapshots(store: SnapshotStore): string[] {
  return names(store).filter(isUuid).sort();
}

/**
 * Removes what a crash left half made or half removed. Only at the agent's start, when nothing but an import from the command line can
 * be working on the store.
 * @param isWorkedOn whether a living process works on this id
 * @param onFailure told of each that cannot be removed; without it the first of them is thrown
 * @returns the names of those that were removed
 */
export async function removeLeftovers(
  store: SnapshotStore,
  isWorkedOn = (_id: string) => false,
  onFailure: (path: string, thrown: unknown) => void = (_path, thrown) => {
    throw thrown;
  },
): Promise<string[]> {
  const leftovers = names(store).filter((name) => {
    const id = /^\.(?:partial|deleted|import)-(.*)$/.exec(name)?.[1];
    return id !== undefined && isUuid(id) && !isWorkedOn(id);
  });
  const removed: string[] = [];
  for (const name of leftovers) {
    const path = join(store.directory, name);
    try {
      await removeTree(path);
      removed.push(name);
    } catch (thrown) {
      onFailure(path, thrown);
    }
  }
  return removed;
}

function names(store: SnapshotStore): string[] {
  try {
    return readdirSync(store.directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** An id becomes a path component, so it is looked at even though the database holds UUIDs only. */
function checkedId(id: string): string {
  if (!isUuid(id)) throw new Error('a snapshot id is a UUID');
  return id.toLowerCase();
}
