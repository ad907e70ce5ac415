/**
 * Archive: every volume packed, read back with the restore's own parser, and published by one rename. Input: the copies, or
 * the snapshot that was made inside the freeze. Undo removes the snapshot, which nobody knows of yet.
 */

import { removeTree } from '../../fs/remove-tree.ts';
import type { Step, StepContext } from '../../restore/saga.ts';
import { createSnapshot, type SnapshotSource } from '../../snapshots/create-snapshot.ts';
import { deleteSnapshot } from '../../snapshots/delete-snapshot.ts';
import { partialPath, snapshotStore } from '../../snapshots/store.ts';
import { removeCopies } from '../copies.ts';
import type { CaptureFacts } from '../facts.ts';

export const archive: Step<CaptureFacts, 'archive'> = {
  name: 'archive',

  async act(context) {
    const { path, volumes } = await publish(context, true);
    await removeCopies(context);
    return {
      path,
      bytes: volumes.reduce((sum, volume) => sum + volume.contentBytes, 0),
      entries: volumes.reduce((sum, volume) => sum + volume.entries, 0),
    };
  },

  async undo(context) {
    await discard(context);
  },
};

/** Makes the snapshot, or describes the one that is there already. */
export async function publish(context: StepContext<CaptureFacts>, report: boolean) {
  const { deps, intent, control, signal, fact } = context;
  const { snapshotId, image, imageId } = fact('preflight');
  return createSnapshot({
    store: snapshotStore(deps.config.stateDir),
    archiver: deps.archiver,
    id: snapshotId,
    kind: 'capture',
    workload: { id: intent.workload.id, name: intent.workload.config.name },
    image,
    imageId,
    volumes: sourcesOf(context),
    intentId: intent.id,
    capturedAt: new Date(fact('freezing')),
    protectedUntil: null,
    config: intent.workload.config,
    signal,
    bytesTotal: fact('check_disk').contentBytes,
    ...(report ? { onProgress: (progress) => control.progress(progress) } : {}),
  });
}

/** The copies as soon as they are what the volumes held in the freeze; before that, and without them, the volumes. */
function sourcesOf({ fact, factOrNull }: StepContext<CaptureFacts>): SnapshotSource[] {
  const cloned = factOrNull('clone');
  return fact('preflight').volumes.map((volume) => {
    const copy = fact('check_disk').copies.find((each) => each.volume === volume.name);
    if (cloned === null || cloned.by === 'archive' || copy === undefined) return volume;
    return { ...volume, path: copy.path, notCopied: cloned.skipped[volume.name] ?? [] };
  });
}

/** Removes the snapshot, complete or not. */
export async function discard({ deps, fact }: StepContext<CaptureFacts>): Promise<void> {
  const store = snapshotStore(deps.config.stateDir);
  const { snapshotId } = fact('preflight');
  await removeTree(partialPath(store, snapshotId));
  await deleteSnapshot(store, snapshotId);
}
