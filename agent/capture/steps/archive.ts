/**
 * Archive: every volume packed, read back with the restore's own parser, and published by one rename. Input: the volumes and
 * the id of the snapshot. Undo removes the snapshot, which nobody knows of yet.
 */

import { removeTree } from '../../fs/remove-tree.ts';
import type { Step, StepContext } from '../../restore/saga.ts';
import { createSnapshot } from '../../snapshots/create-snapshot.ts';
import { deleteSnapshot } from '../../snapshots/delete-snapshot.ts';
import { partialPath, snapshotStore } from '../../snapshots/store.ts';
import type { CaptureFacts } from '../facts.ts';

export const archive: Step<CaptureFacts, 'archive'> = {
  name: 'archive',

  async act(context) {
    const { path, volumes } = await publish(context, true);
    return {
      path,
      bytes: volumes.reduce((sum, volume) => sum + volume.contentBytes, 0),
      entries: volumes.reduce((sum, volume) => sum + volume.entries, 0),
    };
  },

  async undo({ deps, fact }) {
    const store = snapshotStore(deps.config.stateDir);
    const { snapshotId } = fact('preflight');
    await removeTree(partialPath(store, snapshotId));
    await deleteSnapshot(store, snapshotId);
  },
};

/** Makes the snapshot, or describes the one that is there already. */
export async function publish({ deps, intent, control, signal, fact }: StepContext<CaptureFacts>, report: boolean) {
  const { snapshotId, volumes, image, imageId } = fact('preflight');
  return createSnapshot({
    store: snapshotStore(deps.config.stateDir),
    archiver: deps.archiver,
    id: snapshotId,
    kind: 'capture',
    workload: { id: intent.workload.id, name: intent.workload.config.name },
    image,
    imageId,
    volumes,
    intentId: intent.id,
    capturedAt: new Date(fact('freezing')),
    protectedUntil: null,
    config: intent.workload.config,
    signal,
    bytesTotal: fact('check_disk').contentBytes,
    ...(report ? { onProgress: (progress) => control.progress(progress) } : {}),
  });
}
