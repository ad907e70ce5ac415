/** What restore and undo say before they are let go. */
import type { IntentAnswer, SnapshotAnswer, WorkloadAnswer } from '../../cli/client/wire.ts';
import type { Danger } from './confirm-dialog.ts';
import type { Model } from './model.ts';

export function restoreDanger(model: Model, workload: WorkloadAnswer, snapshot: SnapshotAnswer): Danger {
  const { t, f } = model;
  const words = t.dialog;
  const base = `/api/workloads/${workload.id}/snapshots/${snapshot.id}`;
  const volumes = snapshot.volumes.map((volume) => volume.name);
  return {
    title: words.restoreTitle(workload.name),
    facts: [
      words.restoreData(volumes.length, quoted(model, volumes), f.time(snapshot.capturedAt)),
      words.stops(workload.name),
      words.kept,
      words.healthy,
    ],
    button: words.restoreButton,
    path: `${base}/restore`,
    planPath: `${base}/plan`,
  };
}

export function undoDanger(model: Model, workload: WorkloadAnswer, intent: IntentAnswer): Danger {
  const { t, f } = model;
  const words = t.dialog;
  const volumes = workload.config.volumes.map((volume) => volume.name);
  return {
    title: words.undoTitle(workload.name),
    facts: [
      words.undoData(volumes.length, quoted(model, volumes), f.time(intent.createdAt)),
      words.stops(workload.name),
      words.kept,
      words.healthy,
    ],
    button: words.undoButton,
    path: `/api/intents/${intent.id}/undo`,
    planPath: undefined,
  };
}

function quoted({ t, f }: Model, names: readonly string[]): string {
  return f.list(names.map((name) => t.quoted(name)));
}
