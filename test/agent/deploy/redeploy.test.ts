import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { quiesce, recordContainers, recordOther, resume } from '../../../agent/deploy/quiesce.ts';
import { finishRedeploy, redeploy, undoRedeploy } from '../../../agent/deploy/redeploy.ts';
import type { RedeployInput } from '../../../agent/deploy/types.ts';
import type { RestoreFacts } from '../../../agent/restore/facts.ts';
import type { StepContext } from '../../../agent/restore/saga.ts';
import { redeploy as redeployStep } from '../../../agent/restore/steps/redeploy.ts';
import type { RefloatError } from '../../../db/errors.ts';
import { newId } from '../../../db/ids.ts';
import { testEngine } from '../../helpers/engine.ts';
import { Cut, cutEngine } from '../../helpers/fault-engine.ts';
import { buildImage } from '../../helpers/image.ts';
import { imageIdOf, locked, picture, redeployInput, startContainers, testWorkload } from '../../helpers/workload.ts';

const real = await testEngine();
const { engine } = real;
afterEach(() => real.removeAll());

/** The same input after the configuration was changed, as when somebody edits the workload between deploy and restore. */
function changed(input: RedeployInput, env: Record<string, string>, replicas?: number): RedeployInput {
  const config = { ...input.workload.config, env, replicas: replicas ?? input.workload.config.replicas };
  return { ...input, workload: { ...input.workload, version: 2, config } };
}

async function stopped(input: RedeployInput): Promise<void> {
  await quiesce(engine, input.before, 5);
}

test('containers that still match are started again, the very same ones', async () => {
  const workload = await testWorkload(real, { replicas: 2, restart: 'on-failure:4' });
  await startContainers(real, workload);
  const before = await picture(real);
  const input = await redeployInput(real, workload);
  await stopped(input);
  const result = await locked(input.workload.id, (lock) => redeploy({ engine }, lock, input));
  assert.equal(result.recreated, false);
  assert.deepEqual(await picture(real), before);
  await locked(input.workload.id, (lock) => finishRedeploy({ engine }, lock, input));
  assert.deepEqual(await picture(real), before);
});

test('a changed configuration recreates, pinned to the image that ran, not to what its tag points to now', async () => {
  const workload = await testWorkload(real, { replicas: 2 });
  await startContainers(real, workload);
  const oldImage = await imageIdOf(real);
  const input = changed(await redeployInput(real, workload), { NEW: '1' });
  // The configured reference stands for another image by now.
  const other = await buildImage(real.dockerHost, {
    name: 'refloat-test-other',
    binaries: ['sh', 'sleep'],
    command: ['sh', '-c', 'sleep 3600'],
  });
  const moved = { ...input, workload: { ...input.workload, config: { ...input.workload.config, image: other } } };
  await stopped(moved);
  const result = await locked(moved.workload.id, (lock) => redeploy({ engine }, lock, moved));
  assert.equal(result.recreated, true);
  assert.equal(result.containers.length, 2);
  for (const id of result.containers) {
    const container = await engine.inspect(id);
    assert.equal(container?.imageId, oldImage);
    assert.equal(container?.state, 'running');
    assert.equal(container?.restartPolicy.name, 'unless-stopped');
  }
  await locked(moved.workload.id, (lock) => finishRedeploy({ engine }, lock, moved));
  assert.deepEqual((await real.mine()).map(({ id }) => id).sort(), [...result.containers].sort());
});

test('a container that mounts another directory than the restored one is not started on it', async () => {
  const workload = await testWorkload(real);
  await startContainers(real, workload);
  const elsewhere = await testWorkload(real);
  const input = { ...(await redeployInput(real, workload)), hostPaths: elsewhere.hostPaths };
  await stopped(input);
  const result = await locked(input.workload.id, (lock) => redeploy({ engine }, lock, input));
  assert.equal(result.recreated, true);
  const container = await engine.inspect(result.containers[0] ?? '');
  assert.deepEqual(
    container?.mounts.map(({ source }) => source),
    [elsewhere.live],
  );
});

test('an adopted container, without labels, is started as it is', async () => {
  const workload = await testWorkload(real);
  const id = await real.create({
    name: workload.workload.config.name,
    mounts: [{ type: 'bind', source: workload.live, target: '/volumes/data', readOnly: false }],
  });
  await engine.start(id);
  const before = await recordContainers(engine, workload.workload.id, [id]);
  const input = { ...(await redeployInput(real, workload)), before };
  await stopped(input);
  const result = await locked(input.workload.id, (lock) => redeploy({ engine }, lock, input));
  assert.deepEqual(result, { containers: [id], started: [id], recreated: false });
});

test('what was stopped before stays stopped when it is recreated, and surplus replicas go', async () => {
  const workload = await testWorkload(real, { replicas: 3 });
  const ids = await startContainers(real, workload);
  await engine.stop(ids[1] ?? '', 5);
  const input = changed(await redeployInput(real, workload), { NEW: '1' }, 2);
  await stopped(input);
  await locked(input.workload.id, async (lock) => {
    await redeploy({ engine }, lock, input);
    await finishRedeploy({ engine }, lock, input);
  });
  const { name } = workload.workload.config;
  assert.deepEqual((await real.mine()).map((one) => `${one.name} ${one.state}`).sort(), [
    `${name}-1 running`,
    `${name}-2 created`,
  ]);
});

test('a container that vanished between recording and redeploy is made anew', async () => {
  const workload = await testWorkload(real, { replicas: 2 });
  const ids = await startContainers(real, workload);
  const input = await redeployInput(real, workload);
  await stopped(input);
  await engine.remove(ids[0] ?? '');
  const result = await locked(input.workload.id, (lock) => redeploy({ engine }, lock, input));
  assert.equal(result.recreated, true);
  assert.equal(result.started.length, 2);
  await locked(input.workload.id, (lock) => undoRedeploy({ engine }, lock, input));
  assert.deepEqual(
    (await real.mine()).map((one) => `${one.id} ${one.state} ${one.restartPolicy.name}`),
    [`${ids[1]} exited no`],
  );
});

test('a container that Docker failed to remove counts as not there, and the others run again', async () => {
  const workload = await testWorkload(real, { replicas: 2 });
  const ids = await startContainers(real, workload);
  const recorded = await redeployInput(real, workload);
  const dead = recorded.before.find(({ id }) => id === ids[1]);
  assert.ok(dead !== undefined);
  const before = recorded.before.map((one) => (one === dead ? { ...one, state: 'dead' as const, active: false } : one));
  await stopped(recorded);
  // What Docker says of a dead container.
  const refusing = new Proxy(engine, {
    get(target, property) {
      const member = Reflect.get(target, property, target) as (...args: unknown[]) => unknown;
      if (property !== 'setRestartPolicy' && property !== 'start') return member.bind(target);
      return async (...args: unknown[]) => {
        assert.notEqual(args[0], dead.id, `${property} of a dead container`);
        return Reflect.apply(member, target, args);
      };
    },
  });
  for (const input of [{ ...recorded, before }, changed({ ...recorded, before }, { NEW: '1' }, 1)]) {
    const result = await locked(input.workload.id, (lock) => redeploy({ engine: refusing }, lock, input));
    assert.equal(result.containers.includes(dead.id), false);
    assert.equal(result.started.length, 1);
    assert.equal((await engine.inspect(result.started[0] ?? ''))?.state, 'running');
  }
});

test('a container of somebody else that is gone when it is to be started again is named', async () => {
  const workload = await testWorkload(real);
  await startContainers(real, workload);
  const other = await real.create({ name: `other-${workload.workload.id.slice(-8)}` });
  await engine.start(other);
  const others = [await recordOther(engine, other)];
  const input = await redeployInput(real, workload);
  await stopped(input);
  await engine.stop(other, 0);
  await engine.remove(other);
  const warnings: string[] = [];
  const facts = {
    exchanges: [],
    containers: input.before,
    others,
    preflight: { hostPaths: Object.fromEntries(input.hostPaths), image: real.image, imageId: input.imageId },
  };
  await locked(input.workload.id, async (lock) => {
    const context = {
      deps: { engine },
      intent: { id: input.intentId, workload: input.workload },
      lock,
      fact: (name: keyof typeof facts) => facts[name],
      msSinceNote: (name: string) => (name === 'stopping' ? 7 : Number.NaN),
      warn: (message: string) => warnings.push(message),
    };
    const { downtimeMs } = await redeployStep.act(context as unknown as StepContext<RestoreFacts>);
    assert.equal(downtimeMs, 7);
  });
  assert.deepEqual(warnings, [`the container "${others[0]?.name}" was removed by somebody while it was stopped`]);
});

test('a workload without any container comes up from its configuration', async () => {
  const workload = await testWorkload(real);
  const input = await redeployInput(real, workload);
  const result = await locked(input.workload.id, (lock) => redeploy({ engine }, lock, input));
  assert.equal((await engine.inspect(result.started[0] ?? ''))?.name, `${workload.workload.config.name}-1`);
});

test('an image that is gone is refused before any container is moved', async () => {
  const workload = await testWorkload(real);
  await startContainers(real, workload);
  const input = { ...(await redeployInput(real, workload)), imageId: `sha256:${'0'.repeat(64)}` };
  await stopped(input);
  const before = await picture(real);
  await assert.rejects(
    locked(input.workload.id, (lock) => redeploy({ engine }, lock, input)),
    (error: RefloatError) => error.code === 'IMAGE_GONE',
  );
  assert.deepEqual(await picture(real), before);
});

test('a name that a stranger has taken is named, and undo brings everything back', async () => {
  const workload = await testWorkload(real, { replicas: 1 });
  await startContainers(real, workload);
  const before = await picture(real);
  const input = changed(await redeployInput(real, workload), { NEW: '1' }, 2);
  const taken = `${workload.workload.config.name}-2`;
  await real.create({ name: taken });
  await stopped(input);
  await assert.rejects(
    locked(input.workload.id, (lock) => redeploy({ engine }, lock, input)),
    (error: RefloatError) => {
      assert.equal(error.code, 'CONTAINER_FAILED');
      assert.match(error.message, new RegExp(`name ${taken} is taken`));
      return true;
    },
  );
  await locked(input.workload.id, (lock) => undoRedeploy({ engine }, lock, input));
  await resume(engine, input.before);
  assert.deepEqual(
    (await picture(real)).filter((line) => !line.startsWith(taken)),
    before,
  );
});

test('without the lock, or with another workload’s, nothing is touched', async () => {
  const workload = await testWorkload(real);
  await startContainers(real, workload);
  const input = await redeployInput(real, workload);
  const before = await picture(real);
  for (const work of [redeploy, undoRedeploy, finishRedeploy]) {
    await assert.rejects(
      locked(newId(), async (lock) => work({ engine }, lock, input)),
      /lock of workload/,
    );
    const late = await locked(input.workload.id, async (lock) => lock);
    await assert.rejects(async () => work({ engine }, late, input), /lock of workload/);
  }
  assert.deepEqual(await picture(real), before);
});

for (const recreates of [false, true]) {
  const kind = recreates ? 'recreating' : 'starting the same';
  test(`a crash between any two calls of a redeploy (${kind}): undo gives the state of before`, async () => {
    const workload = await testWorkload(real, { replicas: 2, restart: 'always' });
    const ids = await startContainers(real, workload);
    await engine.pause(ids[1] ?? '');
    const before = await picture(real);
    const recorded = await redeployInput(real, workload);
    let cuts = 0;
    for (let at = 0; ; at += 1) {
      const input = { ...(recreates ? changed(recorded, { NEW: '1' }) : recorded), intentId: newId() };
      await stopped(input);
      const cut = cutEngine(engine, at);
      const done = await locked(input.workload.id, (lock) =>
        attempt(() => redeploy({ engine: cut.engine }, lock, input)),
      );
      await cutUndo(input);
      await resume(engine, input.before);
      assert.deepEqual(await picture(real), before, `cut at ${at}`);
      if (done) break;
      cuts += 1;
    }
    assert.ok(cuts >= (recreates ? 10 : 5), `${cuts} cuts`);
  });

  test(`a crash between any two calls of a redeploy (${kind}): running it again finishes it`, async () => {
    for (let at = 0; ; at += 1) {
      const workload = await testWorkload(real, { replicas: 1, restart: 'always' });
      await startContainers(real, workload);
      const recorded = await redeployInput(real, workload);
      const input = recreates ? changed(recorded, { NEW: '1' }) : recorded;
      await stopped(input);
      const cut = cutEngine(engine, at);
      const work = async (through: typeof engine): Promise<void> =>
        locked(input.workload.id, async (lock) => {
          await redeploy({ engine: through }, lock, input);
          await finishRedeploy({ engine: through }, lock, input);
        });
      const done = await attempt(() => work(cut.engine));
      await work(engine);
      const { name } = input.workload.config;
      const now = (await real.mine())
        .map(
          (one) =>
            `${one.name} ${one.state} ${one.restartPolicy.name} ${one.labels['refloat.intent'] === input.intentId}`,
        )
        .sort();
      assert.deepEqual(now, [`${name}-1 running always ${recreates}`], `cut at ${at}`);
      await real.removeAll();
      if (done) break;
    }
  });
}

/** False when the wire was cut. */
async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof Cut || (error as Error).message.includes('cut at')) return false;
    throw error;
  }
}

/** An undo that is itself cut in its middle, and then runs again. */
async function cutUndo(input: RedeployInput): Promise<void> {
  await attempt(() =>
    locked(input.workload.id, (lock) => undoRedeploy({ engine: cutEngine(engine, 4).engine }, lock, input)),
  );
  await locked(input.workload.id, (lock) => undoRedeploy({ engine }, lock, input));
  for (const one of await real.mine()) {
    assert.equal(one.active, false);
    assert.equal(one.restartPolicy.name, 'no');
  }
}
