/**
 * Containers that are not the workload's and run on the paths of a restore: refused by name, unless every volume that they use is shared;
 * then they are stopped and started with it.
 */
import { RefloatError, toRefloatError } from '../../db/errors.ts';
import { findOutsiders, type Outsider } from '../deploy/outsiders.ts';
import { recordOther } from '../deploy/quiesce.ts';
import type { QuiescedContainer } from '../deploy/types.ts';
import type { Engine } from '../docker/engine.ts';
import type { Target } from './facts.ts';

interface Sharer {
  readonly id: string;
  /** The live paths that it uses. */
  readonly paths: readonly string[];
  /** Those of volumes that are not shared. */
  readonly alone: readonly Outsider[];
}

/** @param adoptedIds containers that are the workload's without its label */
async function findSharers(
  engine: Engine,
  workloadId: string,
  targets: readonly Target[],
  adoptedIds: readonly string[],
): Promise<Sharer[]> {
  const live = targets.map((target) => target.live);
  const shared = new Set(targets.filter((target) => target.shared).map((target) => target.live));
  const outsiders = await findOutsiders(engine, workloadId, live, adoptedIds);
  return [...Map.groupBy(outsiders, ({ id }) => id)].map(([id, touched]) => ({
    id,
    paths: touched.map(({ path }) => path),
    alone: touched.filter(({ path }) => !shared.has(path)),
  }));
}

/** @param adoptedIds containers that are the workload's without its label */
export async function checkSharing(
  engine: Engine,
  workloadId: string,
  targets: readonly Target[],
  adoptedIds: readonly string[],
): Promise<{ refusals: RefloatError[]; warnings: string[] }> {
  const refusals: RefloatError[] = [];
  const warnings: string[] = [];
  for (const { id, paths, alone } of await findSharers(engine, workloadId, targets, adoptedIds)) {
    refusals.push(...alone.map(sharedWith));
    if (alone.length > 0) continue;
    try {
      // What cannot be stopped and started is refused now, and not when the workload is about to stop.
      const other = await recordOther(engine, id);
      if (other === null) continue;
      warnings.push(`the container "${other.name}" shares ${paths.join(' and ')}, and is stopped and started too`);
    } catch (thrown) {
      refusals.push(toRefloatError(thrown));
    }
  }
  return { refusals, warnings };
}

/**
 * Who shares all that it uses. One that came since the check and uses more is left alone, so that the last look before the swap finds it.
 * @param adoptedIds containers that are the workload's without its label
 */
export async function recordSharers(
  engine: Engine,
  workloadId: string,
  targets: readonly Target[],
  adoptedIds: readonly string[],
): Promise<QuiescedContainer[]> {
  if (!targets.some((target) => target.shared)) return [];
  const sharers = await findSharers(engine, workloadId, targets, adoptedIds);
  const found = await Promise.all(
    sharers.filter(({ alone }) => alone.length === 0).map(({ id }) => recordOther(engine, id)),
  );
  return found.filter((other) => other !== null);
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
