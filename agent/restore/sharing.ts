/**
 * Containers that are not the workload's and run on the paths of a restore: refused by name, unless the volume is shared; then they are
 * stopped and started with it.
 */
import { RefloatError, toRefloatError } from '../../db/errors.ts';
import { findOutsiders } from '../deploy/outsiders.ts';
import { recordOther } from '../deploy/quiesce.ts';
import type { Engine } from '../docker/engine.ts';
import type { Target } from './facts.ts';

/** @param adoptedIds containers that are the workload's without its label */
export async function checkSharing(
  engine: Engine,
  workloadId: string,
  targets: readonly Target[],
  adoptedIds: readonly string[],
): Promise<{ refusals: RefloatError[]; warnings: string[] }> {
  const refusals: RefloatError[] = [];
  const warnings: string[] = [];
  const live = targets.map((target) => target.live);
  for (const outsider of await findOutsiders(engine, workloadId, live, adoptedIds)) {
    const isShared = targets.some((target) => target.live === outsider.path && target.shared);
    if (!isShared) {
      refusals.push(sharedWith(outsider));
      continue;
    }
    try {
      // What cannot be stopped and started is refused now, and not when the workload is about to stop.
      await recordOther(engine, outsider.id);
      warnings.push(`the container "${outsider.name}" shares ${outsider.path}, and is stopped and started too`);
    } catch (thrown) {
      refusals.push(toRefloatError(thrown));
    }
  }
  return { refusals, warnings };
}

/** Who else mounts a path of the restore, as a refusal that names it. */
export function sharedWith(outsider: { readonly name: string; readonly path: string }): RefloatError {
  return new RefloatError(
    'VOLUME_SHARED',
    `the container "${outsider.name}", which is not one of the workload's, mounts ${outsider.path}`,
    {
      hint: `Stop "${outsider.name}" first, or set "shared": true on the volume: then a restore stops and starts it too.`,
      details: { container: outsider.name, path: outsider.path },
    },
  );
}
