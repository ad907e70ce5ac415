import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defaultNames, parseRestartPolicy, planContainers } from '../../../agent/deploy/plan-containers.ts';
import { parseSetAside, setAsideName } from '../../../agent/deploy/set-aside.ts';
import { slotNames } from '../../../agent/deploy/slot-names.ts';
import { specHash } from '../../../agent/deploy/spec-hash.ts';
import type { QuiescedContainer } from '../../../agent/deploy/types.ts';
import { newId } from '../../../db/ids.ts';
import { WORKLOAD_CONFIG, type WorkloadConfigInput } from '../../../db/workload.ts';

const HOST_ID = newId();
function config(more: Partial<WorkloadConfigInput> = {}) {
  return WORKLOAD_CONFIG.parse({ name: 'shop-db', project: 'shop', hostId: HOST_ID, image: 'postgres:17', ...more });
}

test('restart policies', () => {
  assert.deepEqual(parseRestartPolicy('on-failure:3'), { name: 'on-failure', maximumRetryCount: 3 });
  assert.deepEqual(parseRestartPolicy('on-failure'), { name: 'on-failure', maximumRetryCount: 0 });
  for (const name of ['no', 'always', 'unless-stopped'] as const)
    assert.deepEqual(parseRestartPolicy(name), { name, maximumRetryCount: 0 });
  for (const bad of ['', 'sometimes', 'always:3', 'on-failure:', 'on-failure:-1', 'on-failure:99999'])
    assert.throws(() => parseRestartPolicy(bad), /restart policy/);
});

test('the hash follows what shapes a container, and nothing else', () => {
  const base = specHash(config());
  const shaping: Partial<WorkloadConfigInput>[] = [
    { env: { A: '1' } },
    { command: ['x'] },
    { entrypoint: ['x'] },
    { user: '5' },
    { network: 'host' },
    { restart: 'no' },
    { stopTimeoutSeconds: 11 },
    { ports: [{ container: 80 }] },
    { volumes: [{ name: 'd', scope: 'project', source: 'd', target: '/d' }] },
    { project: 'other' },
    { stage: 'test' },
    { name: 'other' },
  ];
  for (const change of shaping) assert.notEqual(specHash(config(change)), base, JSON.stringify(change));
  const others: Partial<WorkloadConfigInput>[] = [
    { replicas: 5 },
    { image: 'postgres:18' },
    { hooks: { beforeCapture: ['x'] } },
    { capture: { freeze: 'stop' } },
    { health: { graceSeconds: 1, timeoutSeconds: 2 } },
  ];
  for (const change of others) assert.equal(specHash(config(change)), base, JSON.stringify(change));
  assert.equal(specHash(config({ env: { A: '1', B: '2' } })), specHash(config({ env: { B: '2', A: '1' } })));
});

test('a plan holds everything of the configuration', () => {
  const workload = {
    id: newId(),
    version: 1,
    config: config({
      replicas: 2,
      ports: [{ container: 5432, host: 5432, ip: '127.0.0.1' }],
      volumes: [{ name: 'data', scope: 'project', source: 'd', target: '/d', readOnly: true }],
    }),
  };
  const plan = planContainers({
    workload,
    hostPaths: new Map([['data', '/srv/refloat/shop/d']]),
    imageId: 'sha256:1',
    image: 'postgres:17',
    intentId: 'i',
  });
  assert.deepEqual(
    plan.map(({ name }) => name),
    ['shop-db-1', 'shop-db-2'],
  );
  assert.deepEqual(plan[0]?.mounts, [{ type: 'bind', source: '/srv/refloat/shop/d', target: '/d', readOnly: true }]);
  assert.deepEqual(plan[0]?.ports, [{ container: 5432, host: 5432, ip: '127.0.0.1' }]);
  assert.equal(plan[0]?.image, 'sha256:1');
  assert.deepEqual(plan[0]?.labels, {
    'refloat.workload': workload.id,
    'refloat.spec': specHash(workload.config),
    'refloat.intent': 'i',
    'refloat.host': HOST_ID,
    'refloat.image': 'postgres:17',
  });
  assert.throws(
    () => planContainers({ workload, hostPaths: new Map(), imageId: 'sha256:1', image: 'postgres:17', intentId: 'i' }),
    /no host path for volume data/,
  );
});

test('names that are there stay; new ones take the lowest free number', () => {
  const own = (name: string) => ({ name, labelled: true });
  assert.deepEqual(slotNames('db', 3, []), defaultNames({ name: 'db', replicas: 3 }));
  assert.deepEqual(slotNames('db', 2, [own('db-10'), own('db-2'), own('db-1')]), ['db-1', 'db-2']);
  assert.deepEqual(slotNames('db', 3, [own('db-2')]), ['db-2', 'db-1', 'db-3']);
  assert.deepEqual(slotNames('db', 2, [{ name: 'old-shop', labelled: false }]), ['old-shop', 'db-1']);
  assert.deepEqual(slotNames('db', 1, [own('renamed-1')]), ['db-1']);
  assert.deepEqual(slotNames('a.b', 1, [own('axb-1')]), ['a.b-1']);
});

test('what is set aside can be brought back from its name alone', () => {
  const record = fc.record({
    name: fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,40}$/),
    state: fc.constantFrom('running', 'paused', 'exited', 'restarting', 'created'),
    restartPolicy: fc.oneof(
      fc.constantFrom('no', 'always', 'unless-stopped').map((name) => ({ name, maximumRetryCount: 0 })),
      fc.nat(9999).map((maximumRetryCount) => ({ name: 'on-failure', maximumRetryCount })),
    ),
  });
  fc.assert(
    fc.property(
      record,
      fc.uuid(),
      fc.uuid(),
      fc.constantFrom('deploy', 'restore'),
      fc.boolean(),
      (one, workloadId, intentId, by, done) => {
        const active = ['running', 'paused', 'restarting'].includes(one.state);
        const container = { ...one, active } as unknown as QuiescedContainer;
        const name = setAsideName(by, workloadId, intentId, container);
        assert.match(name, /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/);
        const was = parseSetAside(done ? `${name}-done` : name);
        const state = one.state === 'paused' ? 'pause' : active ? 'run' : 'stop';
        assert.deepEqual(was, {
          name: one.name,
          by,
          workloadId,
          intent: intentId.slice(-12),
          restartPolicy: one.restartPolicy,
          state,
          done,
        });
      },
    ),
  );
  for (const name of ['shop-db-1', 'shop.refloat-deploy', 'x.refloat-deploy-zz-no.0-run'])
    assert.equal(parseSetAside(name), null);
});
