/**
 * Brings a quiesced workload up again on the image that it ran, within a restore or undo.
 *
 * Guarantees: containers that still match the configuration are started as they are, on the data of now whoever else starts them
 * meanwhile, and those of them that are gone are made anew; else all are recreated from the configuration, pinned to the image, and the old ones stay aside, stopped, until `finishRedeploy`. What was stopped before stays
 * stopped; a dead container (one that Docker failed to remove) counts as not there. `undoRedeploy` leaves the old containers under their names, stopped, with restart policy `no`, and nothing else;
 * `resume` then starts them. Each function may be repeated and continued after a crash between any two calls: it decides by the
 * input and the engine's state alone.
 * Does not guarantee: that what was started stays up; `health.ts` looks.
 */
import { RefloatError } from '../../db/errors.ts';
import type { AgentDeps } from '../deps.ts';
import type { ContainerInfo, ContainerSpec } from '../docker/engine.ts';
import { about, aboutUnlessGone, allToTheEnd, isConflict } from './container-error.ts';
import { assertComplete } from './find-adopted.ts';
import { INTENT_LABEL, WORKLOAD_LABEL, workloadFilter } from './labels.ts';
import { planContainers } from './plan-containers.ts';
import { disableRestarts, isAlive, quiesce, record, resumeOne } from './quiesce.ts';
import { setAsideName } from './set-aside.ts';
import { slotNames } from './slot-names.ts';
import { stillMatches } from './still-match.ts';
import type { QuiescedContainer, RedeployInput, RedeployResult } from './types.ts';
import type { WorkloadLock } from './workload-lock.ts';

export type RedeployDeps = Pick<AgentDeps, 'engine'>;

/**
 * @throws RefloatError `CONTAINER_FAILED` (one does not start, or its name is taken), `IMAGE_GONE`, `ADOPTED_INCOMPLETE`, the engine's codes
 */
export async function redeploy(deps: RedeployDeps, lock: WorkloadLock, input: RedeployInput): Promise<RedeployResult> {
  lock.assertHeld(input.workload.id);
  const { engine } = deps;
  const { config } = input.workload;
  const before = input.before.filter(isAlive);
  const matches = before.every((one) => stillMatches(one, config, input.imageId, input.hostPaths));
  // No container at all is no match either: the workload was removed, and comes back from its configuration.
  if (before.length > 0 && matches) {
    const back = await allToTheEnd(before.map((container) => resumeOne(engine, container, config)));
    if (back.every(Boolean)) {
      return {
        containers: before.map(({ id }) => id),
        started: before.filter(({ active }) => active).map(({ id }) => id),
        recreated: false,
      };
    }
    // Somebody removed some of them meanwhile: these alone are made anew, under their names.
    const gone = before.filter((_, index) => back[index] === false);
    return replaceGone(deps, input, gone);
  }
  return recreate(deps, input);
}

async function replaceGone(
  deps: RedeployDeps,
  input: RedeployInput,
  gone: readonly QuiescedContainer[],
): Promise<RedeployResult> {
  const before = input.before.filter(isAlive);
  await assertCanMake(deps, input);
  const replaced = await makeAnew(
    deps,
    input,
    gone.map(({ name }) => name),
  );
  const stay = before.filter((one) => !gone.includes(one));
  return {
    containers: [...stay.map(({ id }) => id), ...replaced.containers],
    started: [...stay.filter(({ active }) => active).map(({ id }) => id), ...replaced.started],
    recreated: true,
  };
}

async function recreate(deps: RedeployDeps, input: RedeployInput): Promise<RedeployResult> {
  const { engine } = deps;
  const { config, id: workloadId } = input.workload;
  const { before, intentId } = input;
  await assertCanMake(deps, input);
  await quiesce(engine, before, config.stopTimeoutSeconds);
  await allToTheEnd(
    before.map((old) =>
      aboutUnlessGone(engine, old, engine.rename(old.id, setAsideName('restore', workloadId, intentId, old))),
    ),
  );
  return makeAnew(deps, input, slotNames(config.name, config.replicas, before.map(slotOf)));
}

async function assertCanMake({ engine }: RedeployDeps, input: RedeployInput): Promise<void> {
  assertComplete(input.workload.config);
  if ((await engine.imageId(input.imageId)) === null) throw imageGone(input);
}

/** Containers of these names from the configuration, on the pinned image; each runs if its predecessor did. */
async function makeAnew(deps: RedeployDeps, input: RedeployInput, names: readonly string[]): Promise<RedeployResult> {
  const { engine } = deps;
  const { workload } = input;
  const before = input.before.filter(isAlive);
  const plan = planContainers({ ...input, image: input.image ?? workload.config.image, names });
  const created = await allToTheEnd(plan.map((spec) => createOnce(deps, spec, input)));
  const wanted = plan.map((spec) => shouldRun(spec.name, before));
  await allToTheEnd(
    created.map(async (id, index) => {
      const name = plan[index]?.name ?? id;
      if (wanted[index] === 'stop') return;
      await about({ id, name }, engine.start(id));
      if (wanted[index] === 'pause') await about({ id, name }, engine.pause(id));
    }),
  );
  return { containers: created, started: created.filter((_, index) => wanted[index] !== 'stop'), recreated: true };
}

/** Its predecessor's state; one without a predecessor runs when any of the others did, or there was none. */
function shouldRun(name: string, before: readonly QuiescedContainer[]): 'run' | 'pause' | 'stop' {
  const old = before.find((one) => one.name === name);
  if (old === undefined) return before.length === 0 || before.some(({ active }) => active) ? 'run' : 'stop';
  if (!old.active) return 'stop';
  return old.state === 'paused' ? 'pause' : 'run';
}

function slotOf(container: QuiescedContainer): { name: string; labelled: boolean } {
  return { name: container.name, labelled: container.labels[WORKLOAD_LABEL] !== undefined };
}

/** Creates a container, or finds the one that this intent created before a crash. */
export async function createOnce(
  deps: RedeployDeps,
  spec: ContainerSpec,
  input: { readonly workload: { readonly id: string }; readonly intentId: string },
): Promise<string> {
  try {
    return await deps.engine.create(spec);
  } catch (thrown) {
    if (!isConflict(thrown)) throw thrown;
    const there = await deps.engine.inspect(spec.name);
    if (there !== null && isOf(there, input.workload.id, input.intentId)) return there.id;
    throw new RefloatError('CONTAINER_FAILED', `the name ${spec.name} is taken by another container`, {
      hint: `Rename or remove that container ("docker rename ${spec.name} …"), or rename the workload.`,
      disposition: 'fail',
      details: { container: spec.name, takenBy: there?.id },
      cause: thrown,
    });
  }
}

function isOf(container: ContainerInfo, workloadId: string, intentId: string): boolean {
  return container.labels[WORKLOAD_LABEL] === workloadId && container.labels[INTENT_LABEL] === intentId;
}

/**
 * Takes a redeploy back, complete or not: what it created is removed, the containers of before have their names again, are stopped
 * and have restart policy `no`. Follow it with `resume`, once the data is back.
 */
export async function undoRedeploy(deps: RedeployDeps, lock: WorkloadLock, input: RedeployInput): Promise<void> {
  lock.assertHeld(input.workload.id);
  const { engine } = deps;
  const { stopTimeoutSeconds } = input.workload.config;
  const labelled = await engine.list(workloadFilter(input.workload.id));
  const old = new Set(input.before.map(({ id }) => id));
  const created = labelled
    .filter((one) => isOf(one, input.workload.id, input.intentId) && !old.has(one.id))
    .map(record);
  await quiesce(engine, [...created, ...input.before], stopTimeoutSeconds);
  await allToTheEnd(created.map((one) => about(one, engine.remove(one.id))));
  await allToTheEnd(input.before.map((one) => aboutUnlessGone(engine, one, engine.rename(one.id, one.name))));
}

/** Removes what a successful redeploy set aside. Nothing can bring it back after that. */
export async function finishRedeploy(deps: RedeployDeps, lock: WorkloadLock, input: RedeployInput): Promise<void> {
  lock.assertHeld(input.workload.id);
  const { engine } = deps;
  await allToTheEnd(
    input.before.map(async (old) => {
      // One answer that it is gone is not believed: it would be left behind.
      const now = (await about(old, engine.inspect(old.id))) ?? (await about(old, engine.inspect(old.id)));
      // Only what stands aside for this intent: containers that were started as they are keep their names.
      if (now === null || now.name !== setAsideName('restore', input.workload.id, input.intentId, old)) return;
      await disableRestarts(engine, [old]);
      await about(old, engine.stop(old.id, input.workload.config.stopTimeoutSeconds));
      await about(old, engine.remove(old.id));
    }),
  );
}

function imageGone(input: RedeployInput): RefloatError {
  return new RefloatError(
    'IMAGE_GONE',
    `image ${input.imageId} of workload ${input.workload.config.name} is not on this host any more`,
    {
      hint: 'Load it again ("docker load" or "docker pull"), or deploy the workload on an image that is here.',
      details: { imageId: input.imageId },
    },
  );
}
