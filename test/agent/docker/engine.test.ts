import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { createEngine } from '../../../agent/docker/dockerode-engine.ts';
import { RefloatError } from '../../../db/errors.ts';
import { newId } from '../../../db/ids.ts';
import { testEngine } from '../../helpers/engine.ts';

const real = await testEngine();
const { engine } = real;
afterEach(() => real.removeAll());
const name = (text: string): string => `${text}-${real.runId.slice(-8)}`;
const SLEEP = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done'];

async function refusal(work: Promise<unknown>, code: string): Promise<RefloatError> {
  const error = await work.then(
    () => assert.fail('it passed'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof RefloatError, String(error));
  assert.equal(error.code, code, error.message);
  assert.notEqual(error.hint, '');
  return error;
}

test('"already so" is success: start twice, stop twice, remove twice, what is not there is stopped and removed', async () => {
  const id = await real.create({ name: name('twice'), command: SLEEP });
  await engine.start(id);
  await engine.start(id);
  await engine.pause(id);
  await engine.pause(id);
  await engine.unpause(id);
  await engine.unpause(id);
  await engine.rename(id, name('renamed'));
  await engine.rename(id, name('renamed'));
  await engine.stop(id, 5);
  await engine.stop(id, 5);
  await engine.remove(id);
  await engine.remove(id);
  await engine.stop(id, 5);
  assert.equal(await engine.inspect(id), null);
  assert.equal((await refusal(engine.start(id), 'ENGINE_FAILED')).details?.['status'], 404);
});

test('what runs is not removed', async () => {
  const id = await real.create({ name: name('running'), command: SLEEP });
  await engine.start(id);
  await refusal(engine.remove(id), 'ENGINE_FAILED');
  assert.equal((await engine.inspect(id))?.state, 'running');
});

test('a missing bind source is refused, not made up as an empty directory', async () => {
  const source = join(tmpdir(), `rf-missing-${newId()}`);
  const error = await refusal(
    real.create({ name: name('missing'), mounts: [{ type: 'bind', source, target: '/x', readOnly: false }] }),
    'ENGINE_FAILED',
  );
  assert.match(error.message, /bind source path does not exist/);
});

test('every field of a specification arrives at the container', async () => {
  const id = await real.create({
    name: name('full'),
    command: ['-c', 'exit 3'],
    entrypoint: ['sh'],
    user: '65534',
    env: { A: 'b=c', EMPTY: '' },
    labels: { l: 'v' },
    network: 'host',
    stopTimeoutSeconds: 7,
    ports: [
      { container: 5432, host: 15432, ip: '127.0.0.1' },
      { container: 53, protocol: 'udp' },
    ],
    restartPolicy: { name: 'on-failure', maximumRetryCount: 2 },
    mounts: [{ type: 'tmpfs', source: '', target: '/volumes/t', readOnly: false }],
  });
  const info = await engine.inspect(id);
  assert.equal(info?.state, 'created');
  assert.equal(info?.startedAt, null);
  assert.equal(info?.active, false);
  assert.deepEqual(info?.restartPolicy, { name: 'on-failure', maximumRetryCount: 2 });
  assert.equal(info?.labels['l'], 'v');
  assert.deepEqual(
    info?.mounts.map(({ type, destination }) => [type, destination]),
    [['tmpfs', '/volumes/t']],
  );
  assert.equal(info?.imageId, await engine.imageId(real.image));
  for (const policy of ['always', 'unless-stopped', 'no', ''] as const) {
    await engine.setRestartPolicy(id, { name: policy, maximumRetryCount: 5 });
    assert.equal((await engine.inspect(id))?.restartPolicy.name, policy === '' ? 'no' : policy);
  }
});

test('an exec gives exit code and both outputs, keeps the end of a flood, and its time-out is its own', async () => {
  const id = await real.create({ name: name('exec'), command: SLEEP });
  await engine.start(id);
  const both = await engine.exec(id, ['sh', '-c', 'echo out; echo err >&2; exit 9'], 10_000);
  // Docker does not keep the order between the two.
  assert.deepEqual([both.exitCode, both.output.trim().split('\n').sort()], [9, ['err', 'out']]);
  const flood = await engine.exec(
    id,
    ['sh', '-c', 'i=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i+1)); done'],
    30_000,
  );
  assert.equal(Buffer.byteLength(flood.output), 64 * 1024);
  assert.match(flood.output, /line 19999\n$/);
  // 126 or 127, as the version of runc says.
  assert.ok([126, 127].includes((await engine.exec(id, ['/no/such/program'], 10_000)).exitCode));
  await refusal(engine.exec(id, ['sleep', '30'], 300), 'ENGINE_TIMEOUT');
  await refusal(engine.exec(id, ['sh', '-c', 'exec >&- 2>&-; sleep 30'], 300), 'ENGINE_TIMEOUT');
  assert.equal((await engine.exec(id, ['sh', '-c', 'exec >&- 2>&-; sleep 0.3; exit 5'], 10_000)).exitCode, 5);
  await engine.stop(id, 1);
  await refusal(engine.exec(id, ['true'], 10_000), 'ENGINE_FAILED');
});

test('a program that cannot be started is the container’s failure, with the engine’s words', async () => {
  const id = await real.create({ name: name('bad'), command: ['/no/such/program'] });
  assert.match((await refusal(engine.start(id), 'CONTAINER_FAILED')).message, /no such file/);
});

test('a network that is not there is the container’s failure, not a container that is gone', async () => {
  const id = await real.create({ name: name('net'), network: 'no-such-network' });
  assert.match((await refusal(engine.start(id), 'CONTAINER_FAILED')).message, /network no-such-network not found/);
});

test('a log is read, its last lines only', async () => {
  const id = await real.create({ name: name('log'), command: ['sh', '-c', 'echo one; echo two; echo three'] });
  await engine.start(id);
  while ((await engine.inspect(id))?.state === 'running');
  assert.equal(await engine.logs(id, 2), 'two\nthree\n');
  assert.equal(await engine.logs('no-such-container', 2), '');
});

test('a pull without a registry says that the image is gone', async () => {
  await refusal(engine.pull('127.0.0.1:1/no/such:image'), 'IMAGE_GONE');
});

test('references cannot lead to other parts of the engine’s interface', async () => {
  for (const reference of ['../containers', '../../version?', 'a/../../info', 'x%2fy', '', 'a b'])
    assert.equal(await engine.imageId(reference), null);
});

test('listing is by label; what is active is found with what it mounts', async () => {
  const label = `rf.${newId()}`;
  const [one, two] = await Promise.all([
    real.create({ name: name('one'), command: SLEEP, labels: { [label]: '1' } }),
    real.create({ name: name('two'), labels: { [label]: '1' } }),
  ]);
  await engine.start(one);
  assert.deepEqual((await engine.list({ label })).map(({ id }) => id).sort(), [one, two].sort());
  const active = (await engine.activeMounts()).filter((one) => one.labels[label] === '1');
  assert.deepEqual(
    active.map((container) => [container.id, container.name, container.mounts.length]),
    [[one, name('one'), 0]],
  );
  assert.deepEqual(await engine.list({ label: 'no.such.label' }), []);
});

test('no engine: said at once, with what to do', async () => {
  for (const dockerHost of [`unix://${tmpdir()}/no-such-${newId()}.sock`, 'tcp://127.0.0.1:1']) {
    const error = await refusal(createEngine(dockerHost).ping(), 'ENGINE_UNAVAILABLE');
    assert.match(error.message, /no Docker engine answers at/);
    assert.match(error.hint, /DOCKER_HOST/);
  }
});

test('an engine that accepts and never answers times out; an abort ends a call with its reason', async () => {
  const server = createServer(() => undefined);
  const port = await listening(server);
  try {
    await refusal(createEngine(`tcp://127.0.0.1:${port}`, { quickMs: 200 }).ping(), 'ENGINE_TIMEOUT');
    const abort = new AbortController();
    const waiting = refusal(createEngine(`tcp://127.0.0.1:${port}`, { signal: abort.signal }).ping(), 'CANCELLED');
    abort.abort(new RefloatError('CANCELLED', 'cancelled', { hint: 'ask again' }));
    await waiting;
  } finally {
    server.close();
  }
});

test('an engine that hangs up in the middle is unavailable, not a defect', async () => {
  const server = createServer((socket) => void socket.once('data', () => socket.destroy()));
  const port = await listening(server);
  try {
    await refusal(createEngine(`tcp://127.0.0.1:${port}`).ping(), 'ENGINE_UNAVAILABLE');
  } finally {
    server.close();
  }
});

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}
