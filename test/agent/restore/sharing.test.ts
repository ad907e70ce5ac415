import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSharing } from '../../../agent/restore/sharing.ts';
import { testEngine } from '../../helpers/engine.ts';
import { restoreTarget } from '../../helpers/target.ts';
import { startContainers, testWorkload } from '../../helpers/workload.ts';

const real = await testEngine();
const { engine } = real;
real.removeAllAtEnd();

test('who shares a volume is named; one that was started with --rm is refused before anything stops', async () => {
  const workload = await testWorkload(real);
  await startContainers(real, workload);
  const name = `sharing-${workload.workload.id.slice(-8)}`;
  const source = workload.live;
  await engine.start(await real.create({ name, mounts: [{ type: 'bind', source, target: '/x', readOnly: false }] }));
  const target = restoreTarget(workload.live, { volume: 'data', mountPoint: false, privateName: '.refloat-x' });
  const check = (shared: boolean, through = engine) =>
    checkSharing(through, workload.workload.id, [{ ...target, shared }], []);
  const codes = async (...args: Parameters<typeof check>) => {
    const { refusals, warnings } = await check(...args);
    for (const { message } of refusals) assert.match(message, new RegExp(name));
    return [...refusals.map(({ code }) => code), ...warnings.map((warning) => warning.includes(name))];
  };
  assert.deepEqual(await codes(false), ['VOLUME_SHARED']);
  assert.deepEqual(await codes(true), [true]);
  const removesItself = new Proxy(engine, {
    get(target_, property) {
      const member = Reflect.get(target_, property, target_) as (...args: unknown[]) => unknown;
      if (property !== 'inspect') return member.bind(target_);
      return async (id: string) => ({ ...(await engine.inspect(id)), autoRemove: true });
    },
  });
  assert.deepEqual(await codes(true, removesItself), ['CONTAINER_FAILED']);
});
