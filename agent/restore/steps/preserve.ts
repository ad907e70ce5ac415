/**
 * Preserve: the previous trees as a verified `pre-restore` snapshot. Input: the exchanged targets, whose staging paths hold
 * the previous trees. The workload runs on the new data by now, so a failure is a warning; the held trees then stay.
 */
import { newId } from '../../../db/ids.ts';
import { createSnapshot } from '../../snapshots/create-snapshot.ts';
import { snapshotStore } from '../../snapshots/store.ts';
import type { RestoreFacts } from '../facts.ts';
import type { Step } from '../saga.ts';
import { trees } from '../sharing.ts';

export const preserve: Step<RestoreFacts, 'preserve'> = {
  name: 'preserve',
  onFailure: 'warn',

  async act({ deps, intent, lock, control, fact, factOrNull, note }) {
    // That the workload is healthy is durable by now: nothing is taken back any more, and others may go on with what they share with it.
    lock.letGo(trees(fact('preflight')));
    // Each by itself: a crash may have come between the two.
    if (factOrNull('preRestoreSnapshotId') === null) note('preRestoreSnapshotId', newId());
    if (factOrNull('undoUntil') === null) {
      note('undoUntil', new Date(deps.now().getTime() + deps.config.undoWindowSeconds * 1000).toISOString());
    }
    const { targets, image, imageId } = fact('preflight');
    const {
      path,
      manifest: _,
      ...record
    } = await createSnapshot({
      store: snapshotStore(deps.config.stateDir),
      archiver: deps.archiver,
      id: fact('preRestoreSnapshotId'),
      intentId: intent.id,
      workload: { id: intent.workload.id, name: intent.workload.config.name },
      kind: 'pre-restore',
      image,
      imageId,
      protectedUntil: fact('undoUntil'),
      capturedAt: new Date(fact('stopping')),
      config: intent.workload.config,
      volumes: targets.map(({ volume, scope, source, mountedAt, staging }) => ({
        name: volume,
        scope,
        source,
        target: mountedAt,
        path: staging,
      })),
    });
    control.emit('snapshot', { ...record });
    return { snapshotId: record.id, path };
  },
};
