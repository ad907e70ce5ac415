/** The simulated daemon gives the answers of the real one: the same script of calls goes to both, and what comes back is compared. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createEngine } from '../../agent/docker/dockerode-engine.ts';
import type { ContainerSpec, Engine } from '../../agent/docker/engine.ts';
import { statusOf } from '../../agent/docker/failures.ts';
import { RefloatError } from '../../db/errors.ts';
import { testEngine } from '../helpers/engine.ts';
import { Daemon } from './daemon.ts';

const real = await testEngine();
const directory = mkdtempSync(join(tmpdir(), 'rf-daemon-'));
after(() => rmSync(directory, { recursive: true }));
const SLEEP = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done'];

/** What the agent relies on: whether a call succeeds, the status if not, and what is so afterwards. */
async function script(engine: Engine, image: string, labels: Readonly<Record<string, string>>): Promise<string[]> {
  const answers: string[] = [];
  const name = `d-${real.runId.slice(-8)}`;
  const ask = async (what: string, work: Promise<unknown>): Promise<void> => {
    const end = await work.then(
      () => 'ok',
      (thrown: unknown) =>
        thrown instanceof RefloatError
          ? `${thrown.code} ${thrown.details?.['status'] ?? statusOf(thrown) ?? ''}`
          : String(thrown),
    );
    const info = await engine.inspect(name);
    const state =
      info === null
        ? 'gone'
        : `${info.state} ${info.active} ${info.restartPolicy.name}:${info.restartPolicy.maximumRetryCount}`;
    answers.push(
      `${what}: ${end}; ${state}; ${(await engine.activeMounts()).filter((one) => one.name === name).length} active`,
    );
  };
  const source = join(directory, 'volume');
  mkdirSync(source, { recursive: true });
  const spec: ContainerSpec = {
    name,
    image,
    command: SLEEP,
    env: {},
    labels,
    network: 'none',
    ports: [],
    mounts: [{ type: 'bind', source, target: '/volumes/v', readOnly: false }],
    restartPolicy: { name: 'on-failure', maximumRetryCount: 3 },
    stopTimeoutSeconds: 5,
  };
  await ask('inspect nothing', engine.inspect(`${name}-none`));
  await ask('start nothing', engine.start(`${name}-none`));
  await ask('stop nothing', engine.stop(`${name}-none`, 1));
  await ask(
    'create without its source',
    engine.create({
      ...spec,
      name: `${name}-m`,
      mounts: [{ type: 'bind', source: `${source}-none`, target: '/v', readOnly: false }],
    }),
  );
  await ask('create', engine.create(spec));
  await ask('create again', engine.create(spec));
  await ask('stop what never ran', engine.stop(name, 1));
  await ask('unpause what never ran', engine.unpause(name));
  await ask('start', engine.start(name));
  await ask('start again', engine.start(name));
  await ask('remove what runs', engine.remove(name));
  await ask('pause', engine.pause(name));
  await ask('pause again', engine.pause(name));
  await ask('start what is paused', engine.start(name));
  await ask('stop what is paused', engine.stop(name, 2));
  await ask('pause what is stopped', engine.pause(name));
  await ask('policy no', engine.setRestartPolicy(name, { name: 'no', maximumRetryCount: 0 }));
  await ask('policy always', engine.setRestartPolicy(name, { name: 'always', maximumRetryCount: 0 }));
  await ask('start once more', engine.start(name));
  await ask('policy of what runs', engine.setRestartPolicy(name, { name: 'no', maximumRetryCount: 0 }));
  await ask('rename to the same', engine.rename(name, name));
  await ask('rename', engine.rename(name, `${name}-r`));
  await ask('rename back', engine.rename(`${name}-r`, name));
  await ask('list', engine.list({ label: Object.entries(labels).map(([key, value]) => `${key}=${value}`)[0] ?? '' }));
  await ask('stop', engine.stop(name, 5));
  await ask('stop again', engine.stop(name, 5));
  await ask(
    'image',
    engine.imageId(image).then((id) => assert.match(id ?? '', /^sha256:/)),
  );
  await ask(
    'no image',
    engine.imageId('nothing:none').then((id) => assert.equal(id, null)),
  );
  await ask(
    'no volume',
    engine.volume('nothing-none').then((volume) => assert.equal(volume, null)),
  );
  await ask('remove', engine.remove(name));
  await ask('remove again', engine.remove(name));
  return answers;
}

test('the simulated daemon answers as the real engine does', async () => {
  const daemon = new Daemon({
    socket: join(directory, 'docker.sock'),
    images: { [real.image]: `sha256:${'b'.repeat(64)}` },
    onStart: () => true,
  });
  await daemon.listen();
  try {
    const expected = await script(real.engine, real.image, real.labels);
    assert.deepEqual(await script(createEngine(daemon.dockerHost), real.image, real.labels), expected);
  } finally {
    await daemon.close();
  }
});
