/**
 * Containers that are not the workload's and run on the paths of a restore: refused by name, unless every volume that they use is shared;
 * then they are stopped and started with it.
 *
 * Guarantees: containers of another workload are touched only under its lock, and only when no intent of it is unfinished; work of other
 * workloads on directories that are exchanged has ended before that, and begins after it.
 */
import { RefloatError, toRefloatError } from '../../db/errors.ts';
import { WORKLOAD_LABEL } from '../deploy/labels.ts';
import { findOutsiders, type Outsider } from '../deploy/outsiders.ts';
import { recordOther, runsAside } from '../deploy/quiesce.ts';
import { parseSetAside } from '../deploy/set-aside.ts';
import type { QuiescedContainer } from '../deploy/types.ts';
import type { Engine } from '../docker/engine.ts';
import type { RestoreFacts, Target } from './facts.ts';
import { assertNothingUnfinished } from './journal-dir.ts';
import type { StepContext } from './saga.ts';

interface Sharer {
  readonly id: string;
  readonly name: string;
  /** Whose it is, by its label; null without one. */
  readonly workloadId: string | null;
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
    name: touched[0]?.name ?? id,
    workloadId: touched[0]?.workloadId ?? null,
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

/**
 * The containers of others on the shared volumes, as they are once nobody else works on them; that goes on until the lock lets go. One
 * that came since the check and uses more than is shared is left alone, so that the last look before the swap finds it.
 * @throws RefloatError `WORKLOAD_BUSY`, `WORKLOAD_STUCK` (an intent of theirs is unfinished),
 *   `CONTAINER_FAILED` (one was started with --rm); the signal's reason
 */
export async function recordOthers(context: StepContext<RestoreFacts>): Promise<QuiescedContainer[]> {
  const { deps, intent, lock, signal, fact } = context;
  const { targets, adoptedIds } = fact('preflight');
  const look = async (): Promise<Sharer[]> => {
    if (!targets.some((target) => target.shared)) return [];
    const all = await findSharers(deps.engine, intent.workload.id, targets, adoptedIds);
    return all.filter(({ alone }) => alone.length === 0);
  };
  for (;;) {
    const sharers = await look();
    const workloadIds = [...new Set(sharers.flatMap(({ workloadId }) => workloadId ?? []))];
    const needed = { workloadIds, exchanges: exchangedBy(targets) };
    if (!lock.has(needed)) {
      await lock.take(needed, signal, (names) => warnOfWait(names, context.warn));
      // Whoever was seen may have been stopped, started or replaced meanwhile.
      continue;
    }
    for (const id of workloadIds) assertNothingUnfinished(deps.config.stateDir, id, intent.id);
    const aside = sharers.find(({ name }) => parseSetAside(name) !== null);
    if (aside !== undefined) throw runsAside(aside);
    const found = await Promise.all(sharers.map(({ id }) => recordOther(deps.engine, id)));
    return found.filter((other) => other !== null);
  }
}

/** The same locks after an interruption, for the containers that were recorded; none where they run again already. */
export async function retakeOthers({ lock, signal, fact, factOrNull }: StepContext<RestoreFacts>): Promise<void> {
  const others = factOrNull('others');
  if (others === null || factOrNull('health') !== null) return;
  const workloadIds = others.flatMap(({ labels }) => labels[WORKLOAD_LABEL] ?? []);
  await lock.take({ workloadIds, exchanges: exchangedBy(fact('preflight').targets) }, signal);
}

function exchangedBy(targets: readonly Target[]): string[] {
  return targets.map(({ live }) => live);
}

/** Such a wait may last; whoever looks on learns for whom it is. */
export function warnOfWait(names: readonly string[], warn: StepContext<unknown>['warn']): void {
  for (const name of names)
    warn(`waits for what is under way on "${name}", which has containers or directories in common with this workload`);
}
