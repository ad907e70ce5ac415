/**
 * The gate that a restored or newly deployed workload must pass.
 *
 * Guarantees: returns only when every container is healthy by its own health check, or, having none, has run for the whole
 * grace period without a restart. Fails as soon as it is clear that it will not: a container without a health check that
 * ends or restarts is not given the rest of the time.
 * Does not guarantee: that it stays healthy.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { RefloatError } from '../../db/errors.ts';
import type { ContainerInfo, Engine } from '../docker/engine.ts';

export interface HealthTimes {
  /** How long a container without a health check must run without a restart. */
  readonly graceSeconds: number;
  /** How long a container with one may take to become healthy. */
  readonly timeoutSeconds: number;
}

/** How often Docker is asked. Health checks themselves rarely run more often than every second. */
const POLL_MS = 100;
const LOG_LINES = 10;

/**
 * @throws RefloatError `UNHEALTHY` with `details` `container`, `state`, `exitCode`, `log`; the signal's reason; the engine's codes
 */
export async function waitHealthy(
  engine: Engine,
  containerIds: readonly string[],
  times: HealthTimes,
  signal: AbortSignal,
): Promise<void> {
  // One container's failure ends the waiting for the others.
  const failed = new AbortController();
  const ended = AbortSignal.any([signal, failed.signal]);
  const waits = containerIds.map((id) =>
    waitOne(engine, id, times, ended).catch((thrown: unknown) => {
      failed.abort(thrown);
      throw thrown;
    }),
  );
  await Promise.allSettled(waits);
  signal.throwIfAborted();
  failed.signal.throwIfAborted();
}

async function waitOne(engine: Engine, id: string, times: HealthTimes, signal: AbortSignal): Promise<void> {
  const began = performance.now();
  const elapsedSeconds = (): number => (performance.now() - began) / 1000;
  let first: ContainerInfo | undefined;
  for (;;) {
    signal.throwIfAborted();
    const now = await engine.inspect(id);
    if (now === null) throw gone(id, first);
    first ??= now;
    if (now.health === 'none') {
      if (!isUp(now) || now.startedAt !== first.startedAt || now.restartCount !== first.restartCount)
        throw await unhealthy(engine, now, 'did not keep running');
      if (elapsedSeconds() >= times.graceSeconds) return;
    } else {
      if (now.state === 'paused' || (now.state === 'running' && now.health === 'healthy')) return;
      if (now.state === 'exited' || now.state === 'dead') throw await unhealthy(engine, now, 'ended');
      if (elapsedSeconds() >= times.timeoutSeconds)
        throw await unhealthy(engine, now, `was not healthy within ${times.timeoutSeconds} s`);
    }
    await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** A container that was paused before is paused again, and cannot be asked for more. */
function isUp(container: ContainerInfo): boolean {
  return container.state === 'running' || container.state === 'paused';
}

async function unhealthy(engine: Engine, container: ContainerInfo, what: string): Promise<RefloatError> {
  const log = await engine.logs(container.id, LOG_LINES).catch(() => '');
  const facts = [
    `state ${container.state}`,
    ...(container.state === 'running' ? [] : [`exit code ${container.exitCode}`]),
    ...(container.health === 'none' ? [] : [`health ${container.health}`]),
    ...(container.error === '' ? [] : [container.error]),
  ].join(', ');
  const said = log.trim() === '' ? '' : `; it said: ${log.trim().slice(-1000)}`;
  return new RefloatError('UNHEALTHY', `container ${container.name} ${what} (${facts})${said}`, {
    hint: `Look at "docker logs ${container.name}". If it needs longer, raise health.graceSeconds or health.timeoutSeconds of the workload.`,
    disposition: 'fail',
    details: {
      container: container.name,
      state: container.state,
      health: container.health,
      exitCode: container.exitCode,
      restartCount: container.restartCount,
      log,
    },
  });
}

function gone(id: string, first: ContainerInfo | undefined): RefloatError {
  const name = first?.name ?? id;
  return new RefloatError('UNHEALTHY', `container ${name} was removed while it was to become healthy`, {
    hint: 'Something else removes containers on this host; let Refloat finish first.',
    disposition: 'fail',
    details: { container: name },
  });
}
