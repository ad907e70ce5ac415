/**
 * The host loses power in the middle: the agent and the engine are killed, the engine comes up first, and its restart policies
 * with it. The application, which has policy `always` and writes what it sees when it starts, never sees anything but all of
 * the old or all of the new volumes.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startOwnEngine } from '../helpers/engine.ts';
import { buildTestImage } from '../helpers/image.ts';
import { startStack } from '../helpers/stack.ts';
import { twoVolumes } from '../helpers/two-volumes.ts';

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

/** From the first stop to the start; between the two nothing may run. */
const POINTS: readonly { readonly at: string; readonly mayRun: boolean }[] = [
  { at: 'journal-after:note:containers#1', mayRun: true },
  { at: 'journal-before:done:quiesce#1', mayRun: false },
  { at: 'journal-after:commit#1', mayRun: false },
  { at: 'swap-after:first#1', mayRun: false },
  { at: 'swap-after:second#1', mayRun: false },
  { at: 'journal-before:started:redeploy#1', mayRun: false },
  { at: 'journal-before:done:redeploy#1', mayRun: true },
];

test('an engine that starts before the agent starts no container on half-restored data', async () => {
  const setUp = await stack.startAgent();
  const workload = await twoVolumes(stack, engine);
  await setUp.stop();
  for (const { at, mayRun } of POINTS) {
    const agent = await stack.startAgent({ REFLOAT_CRASH_AT: at });
    await workload.restore(workload.version() === 'one' ? 'two' : 'one');
    assert.equal((await agent.exited).signal, 'SIGKILL', at);
    await own.restart('SIGKILL');
    const [container] = await own.engine.list();
    if (!mayRun) assert.equal(container?.active, false, `${at}: the engine started ${container?.name}`);
    await workload.judge(await stack.agent(['recover']));
    const next = await stack.startAgent();
    await stack.settled(workload.id);
    await next.stop();
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
  assert.ok(starts.length >= 2 * POINTS.length, `${starts.length / 2} starts`);
  // The empty volumes of the first start, and the two versions.
  assert.ok(sums.first.size <= 3, `${sums.first.size} different contents were seen`);
});
