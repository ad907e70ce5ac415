import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import Docker from 'dockerode';
import { waitHealthy } from '../../../agent/deploy/health.ts';
import { dockerOptions } from '../../../agent/docker/docker-host.ts';
import { RefloatError } from '../../../db/errors.ts';
import { testEngine } from '../../helpers/engine.ts';

const real = await testEngine();
const { engine } = real;
afterEach(() => real.removeAll());
const never = new AbortController().signal;

async function run(name: string, script: string, restart: 'no' | 'always' = 'no'): Promise<string> {
  const id = await real.create({
    name: `${name}-${real.runId.slice(-8)}`,
    command: ['sh', '-c', script],
    restartPolicy: { name: restart, maximumRetryCount: 0 },
    stopTimeoutSeconds: 0,
  });
  await engine.start(id);
  return id;
}

/** With a health check of its own, which the configuration of a workload does not have but an image may. */
async function withCheck(name: string, check: string): Promise<string> {
  const docker = new Docker(dockerOptions(real.dockerHost, process.env));
  const second = 1_000_000_000;
  const container = await docker.createContainer({
    name: `${name}-${real.runId.slice(-8)}`,
    Image: real.image,
    Cmd: ['sh', '-c', 'sleep 3600'],
    Labels: { ...real.labels },
    HostConfig: { NetworkMode: 'none' },
    Healthcheck: { Test: ['CMD-SHELL', check], Interval: second, Timeout: second, Retries: 1 },
  });
  await engine.start(container.id);
  return container.id;
}

async function refusal(work: Promise<void>): Promise<RefloatError> {
  const error = await work.then(
    () => assert.fail('it passed'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof RefloatError, String(error));
  return error;
}

test('without a health check: running for the whole grace period is healthy, and not before it is over', async () => {
  const id = await run('steady', 'sleep 3600');
  const began = performance.now();
  await waitHealthy(engine, [id], { graceSeconds: 1, timeoutSeconds: 30 }, never);
  assert.ok(performance.now() - began >= 1000);
});

test('one that ends is refused at once, with its name, exit code and last words', async () => {
  const id = await run('ends', 'echo out of luck; exit 42');
  const began = performance.now();
  const error = await refusal(
    waitHealthy(engine, [await run('good', 'sleep 3600'), id], { graceSeconds: 30, timeoutSeconds: 30 }, never),
  );
  assert.equal(error.code, 'UNHEALTHY');
  assert.match(error.message, /container ends-.*exit code 42.*out of luck/);
  assert.ok(performance.now() - began < 10_000, 'the other container’s grace period was waited for');
});

test('one that restarts within the grace period is refused, although it runs again', async () => {
  const id = await run('restarts', 'sleep 0.5; exit 1', 'always');
  assert.equal(
    (await refusal(waitHealthy(engine, [id], { graceSeconds: 30, timeoutSeconds: 30 }, never))).code,
    'UNHEALTHY',
  );
});

test('with a health check: healthy passes, however short the grace; unhealthy fails after the time-out', async () => {
  await waitHealthy(engine, [await withCheck('well', 'true')], { graceSeconds: 0, timeoutSeconds: 30 }, never);
  const error = await refusal(
    waitHealthy(engine, [await withCheck('ill', 'false')], { graceSeconds: 0, timeoutSeconds: 2 }, never),
  );
  assert.equal(error.code, 'UNHEALTHY');
  assert.match(error.message, /container ill-.*was not healthy within 2 s.*health unhealthy/);
});

test('one that is removed meanwhile is refused', async () => {
  const id = await run('removed', 'sleep 3600');
  const waiting = refusal(waitHealthy(engine, [id], { graceSeconds: 60, timeoutSeconds: 60 }, never));
  await engine.stop(id, 0);
  await engine.remove(id);
  assert.equal((await waiting).code, 'UNHEALTHY');
});

test('a cancel ends the waiting with its own reason', async () => {
  const id = await run('cancelled', 'sleep 3600');
  const cancel = new AbortController();
  const waiting = refusal(waitHealthy(engine, [id], { graceSeconds: 60, timeoutSeconds: 60 }, cancel.signal));
  cancel.abort(new RefloatError('CANCELLED', 'cancelled', { hint: '' }));
  assert.equal((await waiting).code, 'CANCELLED');
});
