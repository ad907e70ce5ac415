/**
 * Finishes or takes back a deploy that did not end, by what it left in the engine.
 *
 * Guarantees: afterwards none of the workload's containers is set aside by a deploy. If the new ones had proved themselves (a
 * container set aside is marked done: the deploy's commit point), the old ones are removed; else the new ones are removed, and
 * the old ones have their names, their restart policies, and run if they ran. May be repeated.
 * Does not guarantee: anything about containers that a restore set aside; its own recovery knows.
 */
import { RefloatError, toRefloatError } from '../../db/errors.ts';
import type { ContainerInfo, Engine } from '../docker/engine.ts';
import { withRetries } from '../with-retries.ts';
import { about, aboutUnlessGone, allToTheEnd } from './container-error.ts';
import { HOST_LABEL, INTENT_LABEL, WORKLOAD_LABEL } from './labels.ts';
import { isAlive, quiesce, record, resumeOne } from './quiesce.ts';
import type { RedeployDeps } from './redeploy.ts';
import { intentMark, parseSetAside, type SetAside } from './set-aside.ts';
import type { WorkloadLock } from './workload-lock.ts';

/** Docker kills what does not end within this many seconds when nothing else is known. */
const STOP_SECONDS = 10;
export const DONE_SUFFIX = '-done';
/** How often a failed deploy is taken back again, whatever that failed with. */
const TRIES = 4;
const NEVER = new AbortController().signal;

interface Aside {
  readonly container: ContainerInfo;
  readonly was: SetAside;
}

/**
 * Workloads of which a deploy left containers aside; recovery repairs each under its lock.
 * @param hostId this host; containers of another host's agent on the same engine are left alone. Undefined (not enrolled): only what no
 *   host put its mark on; what is left is repaired when its deploy is taken up again
 */
export async function findDeploysToRepair(engine: Engine, hostId: string | undefined): Promise<string[]> {
  const found = new Set<string>();
  for (const container of await engine.list()) {
    const was = parseSetAside(container.name);
    const host = container.labels[HOST_LABEL];
    const isOurs = host === undefined || host === hostId;
    if (was?.by === 'deploy' && isOurs) found.add(was.workloadId);
  }
  return [...found];
}

export interface Repaired {
  /** Names of old containers that are back. */
  readonly broughtBack: string[];
  /** Names of old containers that were removed, since their successors had proved themselves. */
  readonly removed: string[];
}

/** The containers of unfinished deploys of a workload, under the names that were given to them. */
export async function findAsides(engine: Engine, workloadId: string): Promise<ContainerInfo[]> {
  return asidesAmong(await engine.list(), workloadId).map(({ container }) => container);
}

function asidesAmong(all: readonly ContainerInfo[], workloadId: string): Aside[] {
  return all.flatMap((container) => {
    const was = parseSetAside(container.name);
    return was?.by === 'deploy' && was.workloadId === workloadId.toLowerCase() ? [{ container, was }] : [];
  });
}

/** @throws RefloatError with disposition `stuck` when an old container cannot be brought back */
export async function repairDeploy(deps: RedeployDeps, lock: WorkloadLock, workloadId: string): Promise<Repaired> {
  lock.assertHeld(workloadId);
  const all = await deps.engine.list();
  const asides = asidesAmong(all, workloadId);
  const repaired: Repaired = { broughtBack: [], removed: [] };
  for (const intent of new Set(asides.map(({ was }) => was.intent))) {
    const group = asides.filter(({ was }) => was.intent === intent);
    if (group.some(({ was }) => was.done)) {
      await removeAsides(
        deps.engine,
        group.map(({ container }) => container),
      );
      repaired.removed.push(...group.map(({ was }) => was.name));
    } else {
      const isNew = (one: ContainerInfo): boolean =>
        one.labels[WORKLOAD_LABEL] === workloadId &&
        intentMark(one.labels[INTENT_LABEL] ?? '') === intent &&
        parseSetAside(one.name) === null;
      await bringBack(deps.engine, group, all.filter(isNew));
      repaired.broughtBack.push(...group.map(({ was }) => was.name));
    }
  }
  return repaired;
}

/**
 * Containers stand aside until this has succeeded, so an engine that restarts is waited for.
 * @param why what the deploy failed with
 * @throws RefloatError with disposition `stuck`: only recovery or the next deploy puts them right
 */
export async function putRight<T>(why: unknown, work: () => Promise<T>): Promise<T> {
  try {
    return await withRetries(work, NEVER, TRIES);
  } catch (thrown) {
    const [first, second] = [toRefloatError(why), toRefloatError(thrown)];
    throw new RefloatError(
      second.code,
      `the deploy failed (${first.message}), and taking it back failed too: ${second.message}`,
      {
        hint: `Remove the cause, then run "refloat-agent recover". ${second.hint}`,
        disposition: 'stuck',
        details: { ...second.details, deploy: first.toJSON() },
        cause: thrown,
      },
    );
  }
}

export async function removeAsides(engine: Engine, containers: readonly ContainerInfo[]): Promise<void> {
  await quiesce(engine, containers.map(record), STOP_SECONDS);
  await allToTheEnd(containers.map((one) => about(one, engine.remove(one.id))));
}

async function bringBack(engine: Engine, group: readonly Aside[], created: readonly ContainerInfo[]): Promise<void> {
  try {
    // A deploy that died while it stopped the old ones left some that still run, and end in a moment.
    const ending = mayBeStopping(group) ? group.map(({ container }) => container) : [];
    await quiesce(engine, [...created, ...ending].map(record), STOP_SECONDS);
    await allToTheEnd(created.map((one) => about(one, engine.remove(one.id))));
    await allToTheEnd(
      group.map(async ({ container, was }) => {
        // The name last: as long as it says that the container stands aside, all of this is done again after a crash.
        const active = was.state !== 'stop';
        const before = { ...record(container), restartPolicy: was.restartPolicy, active, state: stateOf(was) };
        if (isAlive(container)) await resumeOne(engine, before);
        await aboutUnlessGone(engine, container, engine.rename(container.id, was.name));
      }),
    );
  } catch (thrown) {
    const error = toRefloatError(thrown);
    if (error.code === 'ENGINE_UNAVAILABLE' || error.code === 'ENGINE_TIMEOUT') throw error;
    throw new RefloatError('CONTAINER_FAILED', `the containers of before could not be brought back: ${error.message}`, {
      hint: `They are stopped and named "….refloat-deploy-…". Remove the cause, then run "refloat-agent recover". ${error.hint}`,
      disposition: 'stuck',
      details: { ...error.details, containers: group.map(({ was }) => was.name) },
      cause: thrown,
    });
  }
}

/**
 * A deploy stops the first only when all have policy `no`, and they get theirs back only when all stops have ended. Containers whose
 * own policy is `no` never tell, and are started again although they may have run undisturbed.
 */
function mayBeStopping(group: readonly Aside[]): boolean {
  return group.every(({ container }) => !isAlive(container) || container.restartPolicy.name === 'no');
}

function stateOf(was: SetAside): ContainerInfo['state'] {
  if (was.state === 'pause') return 'paused';
  return was.state === 'run' ? 'running' : 'exited';
}
