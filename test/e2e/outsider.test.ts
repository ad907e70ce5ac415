/**
 * Somebody starts a container on the volumes while they are down, after the last stop and before the exchange: a person, Compose, a
 * tool that heals. It is seen by the last look before the commit point, named, and everything is taken back; it is left alone.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { testEngine } from '../helpers/engine.ts';
import { startStack } from '../helpers/stack.ts';
import { twoVolumes } from '../helpers/two-volumes.ts';
import { untilStopped } from '../helpers/until-stopped.ts';

const engine = await testEngine();
engine.removeAllAtEnd();
const stack = await startStack(engine);

test('whoever starts on the volumes between stop and swap is noticed before the commit point and named', async () => {
  const setUp = await stack.startAgent();
  const workload = await twoVolumes(stack, engine);
  await setUp.stop();
  const [own] = (await engine.mine()).filter((one) => one.labels['refloat.workload'] === workload.id);
  assert.ok(own !== undefined);
  const stranger = (name: string, source: string) => async (): Promise<string> => {
    const id = await engine.create({ name, mounts: [{ type: 'bind', source, target: '/x', readOnly: true }] });
    await engine.engine.start(id);
    return id;
  };
  const suffix = workload.id.slice(-8);
  const intruders = [
    { name: `beside-${suffix}`, code: 'OUTSIDER', start: stranger(`beside-${suffix}`, workload.live[1]) },
    { name: `above-${suffix}`, code: 'OUTSIDER', start: stranger(`above-${suffix}`, dirname(workload.live[0])) },
    {
      name: own.name,
      code: 'CONTAINER_FAILED',
      start: async () => engine.engine.start(own.id).then(() => null),
    },
  ];
  for (const { name, code, start } of intruders) {
    const agent = await stack.startAgent({ REFLOAT_STOP_AT: 'journal-after:done:quiesce#1' });
    const before = workload.version();
    const id = await workload.restore(before === 'one' ? 'two' : 'one');
    await untilStopped(agent.pid);
    assert.equal((await engine.engine.inspect(own.id))?.active, false);
    const started = await start();
    process.kill(agent.pid, 'SIGCONT');
    const { state, error } = await stack.finished(id);
    assert.equal(state, 'rolled_back', name);
    assert.equal(error.code, code, error.message);
    assert.equal(error.step, 'swap');
    assert.ok(error.message.includes(name), error.message);
    assert.equal(workload.version(), before);
    assert.doesNotMatch(readFileSync(join(stack.stateDir, 'journal', `${id}.jsonl`), 'utf8'), /"type":"commit"/);
    await agent.stop();
    assert.equal(await workload.judge(await stack.agent(['recover'])), before);
    if (started === null) continue;
    assert.equal((await engine.engine.inspect(started))?.state, 'running', 'it was left alone');
    await engine.engine.stop(started, 0);
    await engine.engine.remove(started);
  }
});
