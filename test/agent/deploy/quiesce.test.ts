import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { quiesce, recordContainers, recordOther, resume, stopAll } from '../../../agent/deploy/quiesce.ts';
import { createEngine } from '../../../agent/docker/dockerode-engine.ts';
import type { ContainerInfo } from '../../../agent/docker/engine.ts';
import type { RefloatError } from '../../../db/errors.ts';
import { startOwnEngine, testEngine } from '../../helpers/engine.ts';
import { Cut, cutEngine } from '../../helpers/fault-engine.ts';
import { buildTestImage } from '../../helpers/image.ts';

const real = await testEngine();
const { engine } = real;
afterEach(() => real.removeAll());

const SLEEP = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done'];
const SLOW = ['sh', '-c', 'trap "echo told; sleep 2; exit 0" TERM; while :; do sleep 3600 & wait $!; done'];
const DEAF = ['sh', '-c', 'trap "" TERM; while :; do sleep 3600; done'];

async function workload(
  containers: Readonly<Record<string, Parameters<typeof real.create>[0]['restartPolicy']>>,
  command = SLEEP,
): Promise<string> {
  const id = real.newWorkloadId();
  for (const [name, restartPolicy] of Object.entries(containers)) {
    const spec = { name: `${name}-${id.slice(-8)}`, labels: { 'refloat.workload': id }, command };
    const created = await real.create({ ...spec, ...(restartPolicy === undefined ? {} : { restartPolicy }) });
    await engine.start(created);
  }
  return id;
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await check())) {
    assert.ok(performance.now() < end, `never: ${what}`);
    await delay(20);
  }
}

async function states(id: string): Promise<Pick<ContainerInfo, 'state' | 'restartPolicy'>[]> {
  const found = await engine.list({ label: `refloat.workload=${id}` });
  return found.sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ state, restartPolicy }) => ({ state, restartPolicy }));
}

const ALWAYS = { name: 'always', maximumRetryCount: 0 } as const;
const UNLESS = { name: 'unless-stopped', maximumRetryCount: 0 } as const;
const ON_FAILURE = { name: 'on-failure', maximumRetryCount: 3 } as const;
const NO = { name: 'no', maximumRetryCount: 0 } as const;

test('every restart policy is `no` while quiesced, and exactly what it was afterwards', async () => {
  const id = await workload({ a: ALWAYS, b: UNLESS, c: ON_FAILURE, d: NO });
  const before = await recordContainers(engine, id);
  await quiesce(engine, before, 5);
  assert.deepEqual(await states(id), Array(4).fill({ state: 'exited', restartPolicy: NO }));
  await quiesce(engine, before, 5);
  assert.deepEqual(await resume(engine, before), { gone: [] });
  assert.deepEqual(
    await states(id),
    [ALWAYS, UNLESS, ON_FAILURE, NO].map((restartPolicy) => ({ state: 'running', restartPolicy })),
  );
  assert.deepEqual(await resume(engine, before), { gone: [] });
});

test('a program that ignores SIGTERM is killed within its stop time-out', async () => {
  const id = await workload({ a: ALWAYS }, DEAF);
  const before = await recordContainers(engine, id);
  const began = performance.now();
  await quiesce(engine, before, 1);
  assert.ok(performance.now() - began < 10_000);
  assert.equal((await states(id))[0]?.state, 'exited');
});

test('a stop that an agent began, and did not see the end of, is waited for; then what was stopped runs again', async () => {
  const id = await workload({ a: ALWAYS }, SLOW);
  const before = await recordContainers(engine, id);
  const [container] = before;
  const dying = new AbortController();
  const began = quiesce(createEngine(real.dockerHost, { signal: dying.signal }), before, 30);
  await until('the program is told to end', async () => (await engine.logs(container?.id ?? '', 10)).includes('told'));
  dying.abort();
  await assert.rejects(began);
  assert.equal((await engine.inspect(container?.id ?? ''))?.startedAt, container?.startedAt);
  // What runs until it ends counts as running: Docker has nothing to start.
  assert.equal(await engine.start(container?.id ?? ''), false);

  await stopAll(engine, before, 30);
  await resume(engine, before);
  assert.deepEqual(await states(id), [{ state: 'running', restartPolicy: ALWAYS }]);
  assert.notEqual((await engine.inspect(container?.id ?? ''))?.startedAt, container?.startedAt);
});

test('a container of somebody else that was started with --rm cannot be stopped and started: it is refused', async () => {
  const id = await workload({ a: NO });
  const [container] = await recordContainers(engine, id);
  const removing = { ...engine, inspect: async (of: string) => withAutoRemove(await engine.inspect(of)) };
  await assert.rejects(recordOther(removing, container?.id ?? ''), (error: RefloatError) => {
    assert.equal(error.code, 'CONTAINER_FAILED');
    assert.match(error.message, /started with --rm/);
    return true;
  });
  assert.equal((await recordOther(engine, container?.id ?? ''))?.name, container?.name);
  assert.equal(await recordOther(engine, 'no-such-container'), null);
});

function withAutoRemove(info: ContainerInfo | null): ContainerInfo | null {
  return info === null ? null : { ...info, autoRemove: true };
}

test('containers are stopped at once, not one after the other', async () => {
  const id = await workload({ a: NO, b: NO, c: NO, d: NO }, DEAF);
  const before = await recordContainers(engine, id);
  const began = performance.now();
  await quiesce(engine, before, 1);
  assert.ok(performance.now() - began < 3500, `${performance.now() - began} ms for four containers that each take 1 s`);
});

test('a container that restarts for ever stays down while quiesced', async () => {
  const id = await workload({ a: ALWAYS }, ['sh', '-c', 'exit 3']);
  await until('restarting', async () => (await states(id))[0]?.state === 'restarting');
  const before = await recordContainers(engine, id);
  assert.equal(before[0]?.active, true);
  await quiesce(engine, before, 5);
  const [container] = before;
  const stopped = await engine.inspect(container?.id ?? '');
  // A witness that fails the same way, from later on: when Docker has restarted it five times, it would have restarted ours.
  const witness = await workload({ witness: ALWAYS }, ['sh', '-c', 'exit 3']);
  await until(
    'the witness restarts',
    async () => ((await engine.list({ label: `refloat.workload=${witness}` }))[0]?.restartCount ?? 0) >= 5,
  );
  const later = await engine.inspect(container?.id ?? '');
  assert.equal(later?.active, false);
  assert.equal(later?.startedAt, stopped?.startedAt);
  await resume(engine, before);
  assert.deepEqual((await states(id))[0]?.restartPolicy, ALWAYS);
  await until(
    'it restarts for ever again',
    async () => ((await engine.inspect(container?.id ?? ''))?.restartCount ?? 0) >= 2,
  );
});

test('a paused container is stopped, and comes back paused', async () => {
  const id = await workload({ a: ALWAYS });
  const [running] = await recordContainers(engine, id);
  await engine.pause(running?.id ?? '');
  const before = await recordContainers(engine, id);
  assert.equal(before[0]?.state, 'paused');
  await quiesce(engine, before, 5);
  assert.deepEqual(await states(id), [{ state: 'exited', restartPolicy: NO }]);
  await resume(engine, before);
  assert.deepEqual(await states(id), [{ state: 'paused', restartPolicy: ALWAYS }]);
  await resume(engine, before);
  assert.deepEqual(await states(id), [{ state: 'paused', restartPolicy: ALWAYS }]);
});

test('what was stopped before stays stopped', async () => {
  const id = await workload({ a: ALWAYS, b: UNLESS });
  const [first] = await recordContainers(engine, id);
  await engine.stop(first?.id ?? '', 5);
  const before = await recordContainers(engine, id);
  await quiesce(engine, before, 5);
  await resume(engine, before);
  assert.deepEqual(await states(id), [
    { state: 'exited', restartPolicy: ALWAYS },
    { state: 'running', restartPolicy: UNLESS },
  ]);
});

test('a container that somebody removed meanwhile does not keep the others down', async () => {
  const id = await workload({ a: ALWAYS, b: ALWAYS });
  const before = await recordContainers(engine, id);
  await quiesce(engine, before, 5);
  await engine.remove(before[0]?.id ?? '');
  await quiesce(engine, before, 5);
  assert.deepEqual(await resume(engine, before), { gone: [before[0]?.name] });
  assert.deepEqual(await states(id), [{ state: 'running', restartPolicy: ALWAYS }]);
});

test('a container that cannot be started is named, and the others run', async () => {
  const id = await workload({ a: ALWAYS });
  const label = { 'refloat.workload': id };
  await assert.rejects(
    real.create({
      name: `bad-${id.slice(-8)}`,
      labels: label,
      mounts: [{ type: 'bind', source: '/nowhere/at/all', target: '/x', readOnly: false }],
    }),
  );
  const bad = await real.create({
    name: `bad-${id.slice(-8)}`,
    labels: label,
    command: ['/no/such/program'],
    restartPolicy: UNLESS,
  });
  const before = (await recordContainers(engine, id)).map((one) => ({ ...one, active: true }));
  await quiesce(engine, before, 5);
  await assert.rejects(resume(engine, before), (error: RefloatError) => {
    assert.equal(error.code, 'CONTAINER_FAILED');
    assert.match(error.message, /container bad-/);
    return true;
  });
  assert.equal((await engine.inspect(bad))?.active, false);
  assert.deepEqual((await engine.inspect(bad))?.restartPolicy, UNLESS);
  assert.equal((await engine.inspect(before.find(({ name }) => name.startsWith('a-'))?.id ?? ''))?.state, 'running');
});

test('a crash between any two calls of quiesce or resume is healed by resume', async () => {
  const id = await workload({ a: ALWAYS, b: ON_FAILURE });
  const paused = (await recordContainers(engine, id))[1];
  await engine.pause(paused?.id ?? '');
  const before = await recordContainers(engine, id);
  const want = await states(id);
  let cuts = 0;
  for (let at = 0; ; at += 1) {
    const cut = cutEngine(engine, at);
    const done = await quiesce(cut.engine, before, 5)
      .then(() => resume(cut.engine, before))
      .then(
        () => true,
        (error: unknown) => {
          if (error instanceof Cut || (error as Error).message.includes('cut at')) return false;
          throw error;
        },
      );
    await resume(engine, before);
    assert.deepEqual(await states(id), want, `cut at ${at}`);
    if (done) break;
    cuts += 1;
  }
  assert.ok(cuts >= 9, `${cuts} cuts`);
});

test('a container with policy `always` stays down when the daemon is killed and starts again', async () => {
  const own = await startOwnEngine();
  try {
    const image = await buildTestImage(own.dockerHost);
    const labels = { 'refloat.workload': 'w' };
    const spec = {
      image,
      env: {},
      network: 'none',
      ports: [],
      mounts: [],
      stopTimeoutSeconds: 5,
      command: SLEEP,
      labels,
    };
    const ids = await Promise.all(
      ['first', 'second'].map((name) => own.engine.create({ ...spec, name, restartPolicy: ALWAYS })),
    );
    for (const id of ids) await own.engine.start(id);
    const before = await recordContainers(own.engine, 'w');

    // Without our doing, it would come back: the test can fail.
    await own.engine.stop(ids[0] ?? '', 5);
    await own.restart('SIGTERM');
    await until('Docker starts it again', async () => (await own.engine.inspect(ids[0] ?? ''))?.state === 'running');

    await quiesce(own.engine, before, 5);
    await own.restart('SIGKILL');
    for (const id of ids) assert.equal((await own.engine.inspect(id))?.active, false);
    await own.restart('SIGTERM');
    for (const id of ids) assert.equal((await own.engine.inspect(id))?.active, false);
    await resume(own.engine, before);
    for (const id of ids) assert.deepEqual((await own.engine.inspect(id))?.restartPolicy, ALWAYS);
    for (const id of ids) assert.equal((await own.engine.inspect(id))?.state, 'running');
    await quiesce(own.engine, before, 0);
    for (const id of ids) await own.engine.remove(id);
  } finally {
    await own.stop();
  }
});
