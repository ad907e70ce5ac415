/**
 * Stops a workload's containers, and brings the same ones back.
 *
 * Guarantees: after `quiesce` none of the recorded containers is active, and Docker starts none of them by itself, not even
 * when the daemon or the host restarts; `resume` gives each its restart policy back and starts those that were active.
 * Both may be repeated, and continued after a crash between any two calls. All containers are worked on at once, and between the
 * last stop and the first start nothing is asked of Docker that is not needed.
 * Does not guarantee: anything about containers that were not recorded; `outsiders.ts` looks for them. That `resume` brings back
 * what is still being stopped: until it has ended it counts as running, and it ends for good. Where an agent died or gave up
 * while Docker was stopping, call `stopAll` first, which waits for that end, and costs nothing where there is nothing to wait for.
 */
import { RefloatError } from '../../db/errors.ts';
import type { ContainerInfo, Engine, RestartPolicy } from '../docker/engine.ts';
import { about, aboutUnlessGone, allToTheEnd } from './container-error.ts';
import { workloadFilter } from './labels.ts';
import { parseSetAside } from './set-aside.ts';
import type { QuiescedContainer } from './types.ts';

/**
 * The containers of a workload as they are now, in the order of their names.
 * @param extraIds ids or names of containers that are the workload's without its label (adopted ones)
 * @throws RefloatError `CONTAINER_FAILED` (one was started with --rm), `WORKLOAD_BUSY` (an unfinished deploy left one running aside)
 */
export async function recordContainers(
  engine: Engine,
  workloadId: string,
  extraIds: readonly string[] = [],
): Promise<QuiescedContainer[]> {
  const [labelled, extra] = await Promise.all([
    engine.list(workloadFilter(workloadId)),
    Promise.all(extraIds.map((id) => engine.inspect(id))),
  ]);
  const byId = new Map<string, ContainerInfo>();
  for (const info of [...labelled, ...extra]) if (info !== null) byId.set(info.id, info);
  const found: QuiescedContainer[] = [];
  for (const info of byId.values()) {
    if (parseSetAside(info.name) !== null) {
      if (!info.active) continue;
      throw runsAside(info);
    }
    if (info.state === 'removing') continue;
    if (info.autoRemove && info.active)
      throw removesItself(info, 'Deploy the workload through Refloat, or start the container without --rm.');
    found.push(record(info));
  }
  return found.sort((a, b) => compareNames(a.name, b.name));
}

/**
 * A container that is not the workload's, and is to be stopped and started with it. Null when it is gone, or about to be.
 * @throws RefloatError `CONTAINER_FAILED` (it was started with --rm)
 */
export async function recordOther(engine: Engine, id: string): Promise<QuiescedContainer | null> {
  const info = await engine.inspect(id);
  if (info === null || info.state === 'removing') return null;
  if (info.autoRemove && info.active) throw removesItself(info, 'Stop it first, or start it without --rm.');
  return record(info);
}

/** What a saga remembers of a container. */
export function record(info: ContainerInfo): QuiescedContainer {
  const { id, name, imageId, image, state, active, restartPolicy, labels, startedAt, mounts } = info;
  return { id, name, imageId, image, state, active, restartPolicy, labels, startedAt, mounts };
}

/** `db-2` before `db-10`. */
export function compareNames(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

/**
 * Restart policy `no` on all, then stop all within their time-out; Docker kills what does not end.
 * @throws RefloatError `CONTAINER_FAILED` when one is active afterwards; the engine's codes
 */
export async function quiesce(
  engine: Engine,
  records: readonly QuiescedContainer[],
  stopTimeoutSeconds: number,
): Promise<void> {
  await disableRestarts(engine, records);
  await stopAll(engine, records, stopTimeoutSeconds);
  await assertStopped(engine, records);
}

/** The part of `quiesce` in which the workload goes down; follow it with a look at whether it did. */
export async function stopAll(
  engine: Engine,
  records: readonly QuiescedContainer[],
  stopTimeoutSeconds: number,
): Promise<void> {
  await allToTheEnd(records.map((container) => about(container, engine.stop(container.id, stopTimeoutSeconds))));
}

/** @throws RefloatError `CONTAINER_FAILED` when one is active */
export async function assertStopped(
  engine: Engine,
  records: readonly Pick<QuiescedContainer, 'id' | 'name'>[],
): Promise<void> {
  const after = await Promise.all(records.map((container) => about(container, engine.inspect(container.id))));
  for (const info of after) if (info?.active === true) throw stillActive(info);
}

/** A dead container is one that Docker failed to remove; it can neither be updated nor started. */
export function isAlive({ state }: Pick<QuiescedContainer, 'state'>): boolean {
  return state !== 'dead';
}

/** Docker starts none of them by itself from here on. */
export async function disableRestarts(engine: Engine, records: readonly QuiescedContainer[]): Promise<void> {
  const living = records.filter(isAlive);
  await allToTheEnd(
    living.map((container) =>
      aboutUnlessGone(engine, container, engine.setRestartPolicy(container.id, { name: 'no', maximumRetryCount: 0 })),
    ),
  );
}

/**
 * Brings the recorded containers back: restart policies as they were, and what was active runs again (what was paused is
 * paused again).
 * @param afresh default: what runs already is left running
 * @returns the names of those that are not there any more; nobody can bring them back
 * @throws RefloatError `CONTAINER_FAILED` and the engine's codes, after having tried all of them
 */
export async function resume(
  engine: Engine,
  records: readonly QuiescedContainer[],
  afresh?: Afresh,
): Promise<{ gone: string[] }> {
  const living = records.filter(isAlive);
  const back = await allToTheEnd(living.map((container) => resumeOne(engine, container, afresh)));
  return { gone: living.filter((_, index) => back[index] === false).map((container) => container.name) };
}

type Resumable = Pick<QuiescedContainer, 'id' | 'name' | 'state' | 'active' | 'restartPolicy'>;

/**
 * The data was exchanged while the containers were stopped, so that one which runs before it is started may have been started
 * by somebody else on what lay there before: Docker resolves what a container mounts when a start begins, and nothing that it says
 * afterwards tells. Such a one is stopped, and started again. One that an earlier try of ours started, too: whose start it was is not known.
 */
export interface Afresh {
  readonly stopTimeoutSeconds: number;
}

/** False when the container is not there any more. */
export async function resumeOne(engine: Engine, container: Resumable, afresh?: Afresh): Promise<boolean> {
  const work = container.active
    ? start(engine, container, afresh)
    : engine.setRestartPolicy(container.id, container.restartPolicy);
  return (
    (await aboutUnlessGone(
      engine,
      container,
      work.then(() => true),
    )) ?? false
  );
}

async function start(engine: Engine, container: Resumable, afresh?: Afresh): Promise<void> {
  // Docker does not start a paused container; it is paused when an earlier run came this far.
  const isBack = container.state === 'paused' && (await engine.inspect(container.id))?.state === 'paused';
  // The policy after the start: setting it takes Docker's lock of the container, and with it some of the downtime.
  try {
    if (!isBack && !(await engine.start(container.id)) && afresh !== undefined) {
      await engine.stop(container.id, afresh.stopTimeoutSeconds);
      await engine.start(container.id);
    }
  } finally {
    await engine.setRestartPolicy(container.id, container.restartPolicy);
  }
  if (container.state === 'paused') {
    if (!isBack) await engine.pause(container.id);
    return;
  }
  // A program that ended before its policy was back is started once more, as the policy would have done.
  const now = await engine.inspect(container.id);
  if (now?.active === false && wouldRestart(container.restartPolicy, now.exitCode)) await engine.start(container.id);
}

function wouldRestart(policy: RestartPolicy, exitCode: number): boolean {
  return (
    policy.name === 'always' || policy.name === 'unless-stopped' || (policy.name === 'on-failure' && exitCode !== 0)
  );
}

function stillActive(info: ContainerInfo): RefloatError {
  return new RefloatError('CONTAINER_FAILED', `container ${info.name} is ${info.state} although it was stopped`, {
    hint: 'Somebody or something starts it again, or Docker cannot end its process. Look at "docker ps" and the log of dockerd.',
    disposition: 'fail',
    details: { container: info.name, state: info.state },
  });
}

/** A container of an unfinished deploy: what it was is in its name, and only the end of that deploy puts it right. */
export function runsAside({ name }: Pick<ContainerInfo, 'name'>): RefloatError {
  return new RefloatError(
    'WORKLOAD_BUSY',
    `container ${name} was set aside by a deploy that did not finish, and runs`,
    {
      hint: 'Run "refloat-agent recover", or deploy the workload again.',
      details: { container: name },
    },
  );
}

function removesItself(info: ContainerInfo, hint: string): RefloatError {
  return new RefloatError(
    'CONTAINER_FAILED',
    `container ${info.name} was started with --rm: Docker would remove it as soon as it stops`,
    {
      hint,
      details: { container: info.name },
    },
  );
}
