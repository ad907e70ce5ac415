/**
 * The engine is killed at a point of a restore and starts again, and its restart policies with it; the agent dies in the same
 * moment, or lives on. The application, which has policy `always` and writes what it sees when it starts, never sees anything but all of
 * the old or all of the new volumes.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startOwnEngine } from '../helpers/engine.ts';
import { buildTestImage } from '../helpers/image.ts';
import { startStack } from '../helpers/stack.ts';
import { type TwoVolumes, twoVolumes } from '../helpers/two-volumes.ts';
import { untilStopped } from '../helpers/until-stopped.ts';
import { newSeed, randomOf } from './random.ts';

const own = await startOwnEngine();
after(() => own.stop());
const engine = {
  dockerHost: own.dockerHost,
  engine: own.engine,
  image: await buildTestImage(own.dockerHost),
  ownWorkload: () => undefined,
  mine: () => own.engine.list(),
};
const stack = await startStack(engine);

/** How many of the points are taken, with the agent dying and with it living on; all of them with REFLOAT_EVERY_POINT. */
const SAMPLE = 4;
const seed = process.env['REFLOAT_TORTURE_SEED'] ?? newSeed();

/** What a restore passes, from the first record of what is about to stop. */
async function pointsOfRestore(workload: TwoVolumes): Promise<string[]> {
  const trace = join(stack.stateDir, 'trace');
  const agent = await stack.startAgent({ REFLOAT_CRASH_TRACE: trace });
  const finished = await stack.finished(await workload.restore('one'));
  assert.equal(finished.state, 'succeeded', JSON.stringify(finished.error));
  await agent.stop();
  const points = readFileSync(trace, 'utf8').trim().split('\n');
  const first = points.indexOf('journal-before:note:containers#1');
  assert.ok(first >= 0);
  return points.slice(first).filter((point) => !point.startsWith('deliver'));
}

/** Between the end of quiesce and the beginning of redeploy nothing may run, whoever starts the engine. */
function mayRun(points: readonly string[], point: string): boolean {
  const at = points.indexOf(point);
  return at < points.indexOf('journal-before:done:quiesce#1') || at >= points.indexOf('journal-before:done:redeploy#1');
}

async function engineDies(points: readonly string[], point: string): Promise<void> {
  await own.restart('SIGKILL');
  const [container] = await own.engine.list();
  if (!mayRun(points, point)) assert.equal(container?.active, false, `${point}: the engine started ${container?.name}`);
}

test('whenever the engine dies and starts again, the application sees all of the old data or all of the new', async (t) => {
  const setUp = await stack.startAgent();
  const workload = await twoVolumes(stack, engine);
  await setUp.stop();
  const points = await pointsOfRestore(workload);
  const random = randomOf(seed);
  const some = () =>
    process.env['REFLOAT_EVERY_POINT'] === undefined ? random.shuffle(points).slice(0, SAMPLE) : points;
  const [dying, living] = [some(), some()];
  t.diagnostic(`seed ${seed}: ${dying.length} with the agent, ${living.length} without, of ${points.length} points`);
  const other = () => (workload.version() === 'one' ? 'two' : 'one');
  for (const point of dying) {
    const agent = await stack.startAgent({ REFLOAT_CRASH_AT: point });
    await workload.restore(other());
    assert.equal((await agent.exited).signal, 'SIGKILL', point);
    await engineDies(points, point);
    await workload.judge(await stack.agent(['recover']));
    const next = await stack.startAgent();
    await stack.settled(workload.id);
    await next.stop();
  }
  for (const point of living) {
    const wanted = other();
    const agent = await stack.startAgent({ REFLOAT_STOP_AT: point });
    const id = await workload.restore(wanted);
    await untilStopped(agent.pid);
    await engineDies(points, point);
    process.kill(agent.pid, 'SIGCONT');
    const { state, error } = await stack.finished(id);
    await agent.stop();
    const now = await workload.judge(await stack.agent(['recover']));
    assert.equal(now === wanted, state === 'succeeded', `${point}: told ${state} ${JSON.stringify(error)}`);
  }
  const [container] = await own.engine.list();
  assert.ok(container !== undefined);
  const sums = { first: new Set<string>(), second: new Set<string>() };
  const starts = (await own.engine.logs(container.id, 10_000)).split('\n').flatMap((line) => {
    const [, volume, sum] = /saw (first|second) ([0-9a-f]{64})/.exec(line) ?? [];
    return sum === undefined ? [] : [{ volume, sum }];
  });
  for (let index = 0; index + 1 < starts.length; index += 2) {
    sums.first.add(starts[index]?.sum ?? '');
    sums.second.add(starts[index + 1]?.sum ?? '');
    assert.equal(starts[index]?.sum, starts[index + 1]?.sum, 'both volumes hold the same version at every start');
  }
  assert.ok(starts.length >= dying.length + living.length, `${starts.length / 2} starts`);
  // The empty volumes of the first start, and the two versions.
  assert.ok(sums.first.size <= 3, `${sums.first.size} different contents were seen`);
});
