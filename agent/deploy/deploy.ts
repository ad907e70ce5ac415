/**
 * Makes a workload's containers what its configuration says.
 *
 * Guarantees: nothing is restarted when nothing changed. What changed is replaced: the old containers stay aside until the new ones
 * are healthy, and come back, running as before, when they do not become so, on a cancel, and after a crash (`repair-deploy.ts`).
 * Two containers of the workload never run on the same data because of a replacement: the old ones are stopped first.
 * Does not guarantee: that data written by a new version, which then proved unhealthy, is taken back; that is what a snapshot is for.
 */
import { RefloatError } from '../../db/errors.ts';
import type { AgentDeps } from '../deps.ts';
import type { ContainerInfo, ContainerSpec } from '../docker/engine.ts';
import type { WorkloadRef } from '../intents/claimed-intent.ts';
import { about, allToTheEnd } from './container-error.ts';
import { ensureVolumes, locateVolumes } from './ensure-volumes.ts';
import { assertComplete, findAdopted } from './find-adopted.ts';
import { waitHealthy } from './health.ts';
import { INTENT_LABEL, WORKLOAD_LABEL, workloadFilter } from './labels.ts';
import { findOutsiders } from './outsiders.ts';
import { parseRestartPolicy, planContainers, samePolicy } from './plan-containers.ts';
import { quiesce, record, resumeOne } from './quiesce.ts';
import { createOnce } from './redeploy.ts';
import { DONE_SUFFIX, findAsides, putRight, removeAsides, repairDeploy } from './repair-deploy.ts';
import { parseSetAside, setAsideName } from './set-aside.ts';
import { slotNames } from './slot-names.ts';
import { stillMatches } from './still-match.ts';
import { shareOf, type WorkloadLock } from './workload-lock.ts';

const NO_RESTART = { name: 'no', maximumRetryCount: 0 } as const;

export type DeployDeps = Pick<AgentDeps, 'engine' | 'config'>;

export interface DeployInput {
  readonly workload: WorkloadRef;
  readonly intentId: string;
  /** An image reference instead of the configured one, for this deploy. */
  readonly reference?: string;
}

export interface DeployResult {
  /** False when every container was as it should be already. */
  readonly changed: boolean;
  readonly containers: string[];
  readonly imageId: string;
  readonly image: string;
  /** From the first stop to the last start, if anything was replaced. */
  readonly downtimeMs: number;
}

/** What there is to do, before anything is done. */
interface Plan {
  readonly keep: readonly ContainerInfo[];
  readonly replace: readonly ContainerInfo[];
  readonly create: readonly ContainerSpec[];
}

/**
 * @param signal a cancel or the agent's end: what was begun is taken back
 * @param onWait told the names of workloads whose restore is waited for, since it exchanges a directory of this one
 * @throws RefloatError `SOURCE_NOT_IMAGE`, `IMAGE_GONE`, `ADOPTED_INCOMPLETE`, `OUTSIDER`, `WORKLOAD_BUSY`, `UNHEALTHY`, `CONTAINER_FAILED`, those of
 *   `resolveVolume`, the engine's codes, and the signal's reason
 */
export async function deployWorkload(
  deps: DeployDeps,
  lock: WorkloadLock,
  input: DeployInput,
  signal: AbortSignal,
  onWait: (names: readonly string[]) => void = () => undefined,
): Promise<DeployResult> {
  const { workload } = input;
  lock.assertHeld(workload.id);
  if (workload.config.source !== 'image') throw sourceNotImage(workload);
  // What a restore of another workload makes of shared directories, and of containers on them, is not looked at halfway.
  const asides = await findAsides(deps.engine, workload.id);
  if (asides.length > 0) {
    await lock.take(shareOf(asides, await locateVolumes(deps, workload)), signal, onWait);
    await repairDeploy(deps, lock, workload.id);
    // Others need not wait for a download.
    lock.letGo();
  }
  signal.throwIfAborted();

  const image = input.reference ?? workload.config.image;
  const imageId = await localImage(deps, image, signal);
  await lock.take({ uses: await locateVolumes(deps, workload) }, signal, onWait);
  const hostPaths = await ensureVolumes(deps, workload);
  const present = await lock.takeForWhatIsSeen(
    () => presentContainers(deps, workload, hostPaths),
    (seen) => shareOf(seen, hostPaths.values()),
    signal,
    onWait,
  );
  await refuseOutsiders(deps, workload, hostPaths, present);
  const plan = await planDeploy(input, present, { image, imageId, hostPaths });
  if (plan.create.length > 0) assertComplete(workload.config);
  signal.throwIfAborted();

  const replaced = await replace(deps, lock, input, plan, signal);
  const containers = [...plan.keep.map(({ id }) => id), ...replaced.created];
  return { changed: replaced.changed, containers, imageId, image, downtimeMs: replaced.downtimeMs };
}

async function localImage(deps: DeployDeps, reference: string, signal: AbortSignal): Promise<string> {
  const here = await deps.engine.imageId(reference);
  if (here !== null) return here;
  await deps.engine.pull(reference, signal);
  const pulled = await deps.engine.imageId(reference);
  if (pulled !== null) return pulled;
  throw new RefloatError('IMAGE_GONE', `image ${reference} is not on this host, even after it was pulled`, {
    hint: 'Check the reference; the registry may have only other platforms.',
    details: { image: reference },
  });
}

async function presentContainers(
  deps: DeployDeps,
  workload: WorkloadRef,
  hostPaths: ReadonlyMap<string, string>,
): Promise<ContainerInfo[]> {
  const labelled = await deps.engine.list(workloadFilter(workload.id));
  const aside = labelled.find(({ name }) => parseSetAside(name) !== null);
  if (aside !== undefined) {
    throw new RefloatError('WORKLOAD_BUSY', `container ${aside.name} stands aside for a restore that did not finish`, {
      hint: 'Run "refloat-agent recover" first.',
      details: { container: aside.name },
    });
  }
  return [...labelled, ...(await findAdopted(deps.engine, workload.config, hostPaths))];
}

async function refuseOutsiders(
  deps: DeployDeps,
  workload: WorkloadRef,
  hostPaths: ReadonlyMap<string, string>,
  present: readonly ContainerInfo[],
): Promise<void> {
  const alone = workload.config.volumes
    .filter((volume) => volume.shared !== true)
    .flatMap((volume) => hostPaths.get(volume.name) ?? []);
  const found = await findOutsiders(
    deps.engine,
    workload.id,
    alone,
    present.map(({ id }) => id),
  );
  // Monitoring and backup containers mount half the host read-only; they do a running program no harm.
  const [writer] = found.filter(({ readOnly }) => !readOnly);
  if (writer === undefined) return;
  throw new RefloatError(
    'OUTSIDER',
    `container ${writer.name} runs on ${writer.path} and is not one of workload ${workload.config.name}`,
    {
      hint: `Stop it ("docker stop ${writer.name}"), or say "shared": true of the volume if both may use it at once.`,
      details: { container: writer.name, path: writer.path, mounted: writer.mounted },
    },
  );
}

async function planDeploy(
  input: DeployInput,
  present: readonly ContainerInfo[],
  to: { image: string; imageId: string; hostPaths: ReadonlyMap<string, string> },
): Promise<Plan> {
  const { config } = input.workload;
  const slots = present.map(({ name, labels }) => ({ name, labelled: labels[WORKLOAD_LABEL] !== undefined }));
  const names = slotNames(config.name, config.replicas, slots);
  const keep: ContainerInfo[] = [];
  for (const container of present) {
    // An adopted container has no label to be found by; a deploy is what brings it under them.
    const ours =
      container.labels[WORKLOAD_LABEL] !== undefined && container.state !== 'dead' && container.state !== 'removing';
    if (ours && names.includes(container.name) && stillMatches(container, config, to.imageId, to.hostPaths))
      keep.push(container);
  }
  const kept = new Set(keep.map(({ name }) => name));
  return {
    keep,
    replace: present.filter((container) => !keep.includes(container)),
    create: planContainers({
      ...to,
      workload: input.workload,
      intentId: input.intentId,
      names: names.filter((name) => !kept.has(name)),
    }),
  };
}

async function replace(
  deps: DeployDeps,
  lock: WorkloadLock,
  input: DeployInput,
  plan: Plan,
  signal: AbortSignal,
): Promise<{ created: string[]; changed: boolean; downtimeMs: number }> {
  const { engine } = deps;
  const { config, id: workloadId } = input.workload;
  const old = plan.replace.map(record);
  const created: string[] = [];
  let done: { created: string[]; changed: boolean; downtimeMs: number };
  try {
    // Renaming first and stopping later keeps the downtime short: creating happens while the old ones still run.
    await allToTheEnd(
      old.map((one) => about(one, engine.rename(one.id, setAsideName('deploy', workloadId, input.intentId, one)))),
    );
    // Without a restart policy yet: else Docker, started again after a crash, would start them beside the old ones.
    const dormant = plan.create.map((spec) => ({ ...spec, restartPolicy: NO_RESTART }));
    created.push(...(await allToTheEnd(dormant.map((spec) => createOnce(deps, spec, input)))));
    signal.throwIfAborted();
    const stopped = performance.now();
    await quiesce(engine, old, config.stopTimeoutSeconds);
    await allToTheEnd(plan.create.map((spec, index) => startNew(deps, created[index] ?? '', spec)));
    const downtimeMs = old.some(({ active }) => active) ? Math.round(performance.now() - stopped) : 0;
    const woken = await wake(deps, plan.keep, config.restart);
    await waitHealthy(engine, [...created, ...woken], config.health, signal);
    done = { created, changed: old.length + created.length + woken.length > 0, downtimeMs };
  } catch (thrown) {
    await putRight(thrown, () => takeBack(deps, lock, input, plan));
    throw thrown;
  }
  await commit(deps, lock, input, plan.replace);
  return done;
}

async function startNew(deps: DeployDeps, id: string, { name, restartPolicy }: ContainerSpec): Promise<void> {
  const isThere = await resumeOne(deps.engine, { id, name, restartPolicy, state: 'running', active: true });
  if (isThere) return;
  throw new RefloatError('CONTAINER_FAILED', `container ${name} was removed before it could be started`, {
    hint: 'Something else removes containers on this host; deploy again when it does not.',
    disposition: 'fail',
    details: { container: name },
  });
}

/** Kept containers that do not run, or not under the restart policy that they should have, as after an interrupted restore. */
async function wake(deps: DeployDeps, keep: readonly ContainerInfo[], restart: string): Promise<string[]> {
  const wanted = parseRestartPolicy(restart);
  const woken = await allToTheEnd(
    keep.map(async (container) => {
      if (!samePolicy(container.restartPolicy, wanted))
        await about(container, deps.engine.setRestartPolicy(container.id, wanted));
      if (container.state === 'paused') {
        await about(container, deps.engine.unpause(container.id));
      } else if (container.active) {
        return null;
      } else {
        await about(container, deps.engine.start(container.id));
      }
      return container.id;
    }),
  );
  return woken.filter((id) => id !== null);
}

/** The commit point is the first of these renames: from there on a crash leads to the new containers, before it to the old ones. */
async function commit(
  deps: DeployDeps,
  lock: WorkloadLock,
  input: DeployInput,
  old: readonly ContainerInfo[],
): Promise<void> {
  const { id: workloadId } = input.workload;
  try {
    for (const one of old) {
      await about(
        one,
        deps.engine.rename(one.id, `${setAsideName('deploy', workloadId, input.intentId, record(one))}${DONE_SUFFIX}`),
      );
    }
    await removeAsides(deps.engine, old);
  } catch (thrown) {
    // Whether the first rename had its effect is known to the engine alone.
    const isTakenBack = await putRight(thrown, async () => {
      await repairDeploy(deps, lock, workloadId);
      const now = await Promise.all(old.map((one) => deps.engine.inspect(one.id)));
      return now.some((one, index) => one?.name === old[index]?.name);
    });
    if (isTakenBack) throw thrown;
  }
}

async function takeBack(deps: DeployDeps, lock: WorkloadLock, input: DeployInput, plan: Plan): Promise<void> {
  // Of a deploy that replaces nothing, only what it created is to go.
  const labelled = await deps.engine.list(workloadFilter(input.workload.id));
  const names = new Set(plan.create.map(({ name }) => name));
  const fresh = labelled.filter((one) => names.has(one.name) && one.labels[INTENT_LABEL] === input.intentId);
  await removeAsides(deps.engine, fresh);
  await repairDeploy(deps, lock, input.workload.id);
}

function sourceNotImage(workload: WorkloadRef): RefloatError {
  return new RefloatError(
    'SOURCE_NOT_IMAGE',
    `workload ${workload.config.name} has source ${workload.config.source}; only image workloads can be deployed`,
    {
      hint: 'Give it the source "image" and an image reference.',
    },
  );
}
