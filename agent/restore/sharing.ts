/**
 * Containers that are not the workload's and run on the paths of a restore: refused by name, unless every volume that they use is shared;
 * then they are stopped and started with it.
 *
 * Guarantees: containers of others are touched only under the lock of their workload (or their own), and only when no intent that works on
 * them is unfinished; work of other workloads on directories that are exchanged has ended before that, and begins after it.
 */
import { RefloatError, toRefloatError } from '../../db/errors.ts';
import { findOutsiders, type Outsider } from '../deploy/outsiders.ts';
import { recordContainers, recordOther, runsAside } from '../deploy/quiesce.ts';
import { parseSetAside } from '../deploy/set-aside.ts';
import type { QuiescedContainer } from '../deploy/types.ts';
import { type Share, shareOf } from '../deploy/workload-lock.ts';
import type { AgentDeps } from '../deps.ts';
import type { Engine } from '../docker/engine.ts';
import type { ClaimedIntent } from '../intents/claimed-intent.ts';
import type { RestoreFacts, Target } from './facts.ts';
import { assertNothingStuck, assertNothingUnfinished } from './journal-dir.ts';
import type { StepContext } from './saga.ts';

interface Sharer {
  readonly id: string;
  readonly lockId: string;
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
    lockId: touched[0]?.lockId ?? id,
    paths: touched.map(({ path }) => path),
    alone: touched.filter(({ path }) => !shared.has(path)),
  }));
}

/** @param adoptedIds containers that are the workload's without its label */
export async function checkSharing(
  { engine, config }: Pick<AgentDeps, 'engine' | 'config'>,
  { id: intentId, workload }: Pick<ClaimedIntent, 'id' | 'workload'>,
  targets: readonly Target[],
  adoptedIds: readonly string[],
): Promise<{ refusals: RefloatError[]; warnings: string[] }> {
  const refusals: RefloatError[] = [];
  const warnings: string[] = [];
  for (const { id, lockId, paths, alone } of await findSharers(engine, workload.id, targets, adoptedIds)) {
    refusals.push(...alone.map(sharedWith));
    if (alone.length > 0) continue;
    try {
      // What cannot be stopped and started is refused now, and not when the workload is about to stop.
      assertNothingStuck(config.stateDir, lockId, intentId);
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
 * The workload's containers, and those of others on the shared volumes, as they are once nobody else works on them; that goes on until
 * the lock lets go. One that came since the check and uses more than is shared is left alone, so that the last look before the swap
 * finds it.
 * @throws RefloatError `WORKLOAD_BUSY`, `WORKLOAD_STUCK` (an intent that works on them is unfinished),
 *   `CONTAINER_FAILED` (one was started with --rm); the signal's reason
 */
export async function recordAll(
  context: StepContext<RestoreFacts>,
): Promise<Pick<RestoreFacts, 'containers' | 'others'>> {
  const { deps, intent, lock, signal, fact } = context;
  const checked = fact('preflight');
  const { containers, others } = await lock.takeForWhatIsSeen(
    async () => ({
      others: await recordOthers(context),
      containers: await recordContainers(deps.engine, intent.workload.id, checked.adoptedIds),
    }),
    (seen) => shareWith([...seen.containers, ...seen.others], checked),
    signal,
    (names) => warnOfWait(names, context.warn),
  );
  for (const id of shareOf([...containers, ...others]).ids)
    assertNothingUnfinished(deps.config.stateDir, id, intent.id);
  const aside = others.find(({ name }) => parseSetAside(name) !== null);
  if (aside !== undefined) throw runsAside(aside);
  return { containers, others };
}

async function recordOthers({ deps, intent, fact }: StepContext<RestoreFacts>): Promise<QuiescedContainer[]> {
  const { targets, adoptedIds } = fact('preflight');
  if (!targets.some((target) => target.shared)) return [];
  const sharers = await findSharers(deps.engine, intent.workload.id, targets, adoptedIds);
  const found = await Promise.all(
    sharers.filter(({ alone }) => alone.length === 0).map(({ id }) => recordOther(deps.engine, id)),
  );
  return found.filter((other) => other !== null);
}

/** The same locks after an interruption, for the containers that were recorded, unless they run again already. */
export async function retake({ lock, signal, factOrNull }: StepContext<RestoreFacts>): Promise<void> {
  const checked = factOrNull('preflight');
  if (checked === null) return;
  const others = factOrNull('others');
  const isOver = others === null || factOrNull('health') !== null;
  const share = isOver ? trees(checked) : shareWith([...others, ...(factOrNull('containers') ?? [])], checked);
  await lock.take(share, signal);
}

/** From before the first stop until the workload is healthy: what is stopped, what is exchanged, and on what containers are started. */
function shareWith(all: readonly QuiescedContainer[], checked: RestoreFacts['preflight']): Share {
  const places = [...Object.values(checked.hostPaths), ...trees(checked).uses];
  return { ...shareOf(all, places), exchanges: checked.targets.map(({ live }) => live) };
}

/** From staging to the end: where the new and then the previous trees lie. Nobody is to exchange a directory in which that is. */
export function trees({ targets }: Pick<RestoreFacts['preflight'], 'targets'>): Pick<Share, 'uses'> {
  // Inside a mount point they lie in what changes places itself, and stay where they are.
  const beside = targets.filter(({ mountPoint }) => !mountPoint);
  return { uses: beside.map(({ privateDirectory }) => privateDirectory) };
}

/** Such a wait may last; whoever looks on learns for whom it is. */
export function warnOfWait(names: readonly string[], warn: StepContext<unknown>['warn']): void {
  for (const name of names)
    warn(`waits for what is under way on "${name}", which has containers or directories in common with this workload`);
}
