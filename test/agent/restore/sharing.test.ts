import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import type { AgentConfig } from '../../../agent/config.ts';
import type { Engine } from '../../../agent/docker/engine.ts';
import type { WorkloadRef } from '../../../agent/intents/claimed-intent.ts';
import type { RestoreFacts, Target } from '../../../agent/restore/facts.ts';
import type { StepContext } from '../../../agent/restore/saga.ts';
import { checkSharing, recordAll } from '../../../agent/restore/sharing.ts';
import { testEngine } from '../../helpers/engine.ts';
import { mountsFirst } from '../../helpers/fault-engine.ts';
import { restoreTarget } from '../../helpers/target.ts';
import { startContainers, testWorkload } from '../../helpers/workload.ts';

const real = await testEngine();
const { engine } = real;
real.removeAllAtEnd();

const NOWHERE = { stateDir: '/nowhere' } as AgentConfig;

/** As where nobody else works on anything. */
const recordAlone = async (through: Engine, id: string, targets: readonly Target[]) => {
  const context = {
    deps: { engine: through, config: NOWHERE },
    intent: { id, workload: { id } },
    lock: { takeForWhatIsSeen: (look: () => unknown) => look() },
    fact: () => ({ targets, adoptedIds: [], hostPaths: {} }),
  } as unknown as StepContext<RestoreFacts>;
  return (await recordAll(context)).others;
};

const check = (through: Engine, id: string, targets: readonly Target[]) =>
  checkSharing({ engine: through, config: NOWHERE }, { id, workload: { id } as WorkloadRef }, targets, []);

test('who shares a volume is named; one that was started with --rm is refused before anything stops', async () => {
  const workload = await testWorkload(real);
  await startContainers(real, workload);
  const name = `sharing-${workload.workload.id.slice(-8)}`;
  const source = workload.live;
  await engine.start(await real.create({ name, mounts: [{ type: 'bind', source, target: '/x', readOnly: false }] }));
  const target = restoreTarget(workload.live, { volume: 'data', mountPoint: false, privateName: '.refloat-x' });
  const checkOne = (shared: boolean, through = engine) => check(through, workload.workload.id, [{ ...target, shared }]);
  const codes = async (...args: Parameters<typeof checkOne>) => {
    const { refusals, warnings } = await checkOne(...args);
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

test('one that also mounts a volume that is not shared is refused for that one, and recorded by nobody', async () => {
  const workload = await testWorkload(real);
  const { id } = workload.workload;
  const name = `both-${id.slice(-8)}`;
  const [first, second] = [join(workload.live, '../first'), join(workload.live, '../second')];
  await Promise.all([first, second].map((path) => mkdir(path)));
  const mounts = [first, second].map(
    (source) => ({ type: 'bind', source, target: `/${basename(source)}`, readOnly: true }) as const,
  );
  const container = await real.create({ name, mounts });
  await engine.start(container);
  const targets = (shared: readonly string[]) =>
    [first, second].map((live) => restoreTarget(live, { volume: basename(live) }, { shared: shared.includes(live) }));
  for (const early of [first, second]) {
    const through = mountsFirst(engine, ({ source }) => source === early);
    const { refusals, warnings } = await check(through, id, targets([first]));
    assert.deepEqual(
      [refusals.map(({ code, details }) => [code, details]), warnings],
      [[['VOLUME_SHARED', { container: name, path: second }]], []],
    );
    assert.deepEqual(await recordAlone(through, id, targets([first])), []);
    const none = await check(through, id, targets([]));
    assert.deepEqual(
      none.refusals.map(({ details }) => details?.['path']),
      [first, second],
    );
    const both = await check(through, id, targets([first, second]));
    assert.deepEqual(both, {
      refusals: [],
      warnings: [`the container "${name}" shares ${first} and ${second}, and is stopped and started too`],
    });
    const recorded = await recordAlone(through, id, targets([first, second]));
    assert.deepEqual(
      recorded.map((other) => other.id),
      [container],
    );
  }
});
