/**
 * Stops a workload's containers, and brings the same ones back.
 *
 * Guarantees: after `quiesce` none of the recorded containers is active, and Docker starts none of them by itself, not even
 * when the daemon or the host restarts; `resume` gives each its restart policy back and starts those that were active.
 * Both may be repeated, and continued after a crash between any two calls. All containers are worked on at once, and between the
 * last stop and the first start nothing is asked of Docker that is not needed.
 * Does not guarantee: anything about containers that were not recorded; `outsiders.ts` looks for them.
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
      throw new RefloatError(
        'WORKLOAD_BUSY',
        `container ${info.name} was set aside by a deploy that did not finish, and runs`,
        {
          hint: 'Run "refloat-agent recover", or deploy the workload again.',
          details: { container: info.name },
        },
      );
    }
    if (info.state === 'removing') continue;
    if (info.autoRemove && info.active) throw removesItself(info);
    found.push(record(info));
  }
  return found.sort((a, b) => compareNames(a.name, b.name));
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

/** Docker starts none of them by itself from here on. */
export async function disableRestarts(engine: Engine, records: readonly QuiescedContainer[]): Promise<void> {
  // A dead container is one that Docker failed to remove; it can neither be updated nor started.
  const living = records.filter((container) => container.state !== 'dead');
  await allToTheEnd(
    living.map((container) =>
      aboutUnlessGone(engine, container, engine.setRestartPolicy(container.id, { name: 'no', maximumRetryCount: 0 })),
    ),
  );
}

/**
 * Brings the recorded containers back: restart policies as they were, and what was active runs again (what was paused is
 * paused again).
 * @returns the names of those that are not there any more; nobody can bring them back
 * @throws RefloatError `CONTAINER_FAILED` and the engine's codes, after having tried all of them
 */
export async function resume(engine: Engine, records: readonly QuiescedContainer[]): Promise<{ gone: string[] }> {
  const living = records.filter((container) => container.state !== 'dead');
  const back = await allToTheEnd(living.map((container) => resumeOne(engine, container)));
  return { gone: living.filter((_, index) => back[index] === false).map((container) => container.name) };
}

type Resumable = Pick<QuiescedContainer, 'id' | 'name' | 'state' | 'active' | 'restartPolicy'>;

/** False when the container is not there any more. */
export async function resumeOne(engine: Engine, container: Resumable): Promise<boolean> {
  const work = container.active
    ? start(engine, container)
    : engine.setRestartPolicy(container.id, container.restartPolicy);
  return (
    (await aboutUnlessGone(
      engine,
      container,
      work.then(() => true),
    )) ?? false
  );
}

async function start(engine: Engine, container: Resumable): Promise<void> {
  // Docker does not start a paused container; it is paused when an earlier run came this far.
  const isBack = container.state === 'paused' && (await engine.inspect(container.id))?.state === 'paused';
  // The policy after the start: setting it takes Docker's lock of the container, and with it some of the downtime.
  try {
    if (!isBack) await engine.start(container.id);
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

function removesItself(info: ContainerInfo): RefloatError {
  return new RefloatError(
    'CONTAINER_FAILED',
    `container ${info.name} was started with --rm: Docker would remove it as soon as it stops`,
    {
      hint: 'Deploy the workload through Refloat, or start the container without --rm.',
      details: { container: info.name },
    },
  );
}
