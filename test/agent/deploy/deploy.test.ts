import assert from 'node:assert/strict';
import { mkdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { type DeployInput, type DeployResult, deployWorkload } from '../../../agent/deploy/deploy.ts';
import { findDeploysToRepair, repairDeploy } from '../../../agent/deploy/repair-deploy.ts';
import { createEngine } from '../../../agent/docker/dockerode-engine.ts';
import type { Engine } from '../../../agent/docker/engine.ts';
import { RefloatError } from '../../../db/errors.ts';
import { newId } from '../../../db/ids.ts';
import { INTENT_KINDS } from '../../../db/intent-state.ts';
import { WORKLOAD_CONFIG, type WorkloadConfigInput } from '../../../db/workload.ts';
import { testEngine } from '../../helpers/engine.ts';
import { awayEngine, cutEngine, mountsFirst } from '../../helpers/fault-engine.ts';
import { buildImage } from '../../helpers/image.ts';
import { locked, picture, type TestWorkload, testWorkload } from '../../helpers/workload.ts';

const real = await testEngine();
const { engine } = real;
afterEach(() => real.removeAll());

async function deploy(
  workload: TestWorkload,
  more: Partial<DeployInput> & { engine?: Engine; signal?: AbortSignal } = {},
): Promise<DeployResult> {
  const { engine: through = engine, signal = new AbortController().signal, ...input } = more;
  const deps = { engine: through, config: { ...HOST, ...workload.config } };
  const given = { workload: workload.workload, intentId: newId(), ...input };
  return locked(given.workload.id, (lock) => deployWorkload(deps, lock, given, signal));
}

const HOST = {
  allowedIntents: new Set(INTENT_KINDS),
  allowedVolumes: null,
  maxRestoreBytes: null,
  stateDir: '/nowhere',
  inventory: 'all' as const,
  undoWindowSeconds: 60,
  dockerHost: undefined,
  databaseUrl: undefined,
  hostId: undefined,
  logLevel: 'info',
};

/** For containers that end at once: on a busy machine it is a while before Docker knows. Who has ended is not waited for. */
const LONG_GRACE = { graceSeconds: 10, timeoutSeconds: 10 };

function edited(workload: TestWorkload, change: Partial<WorkloadConfigInput>): TestWorkload {
  const config = WORKLOAD_CONFIG.parse({ ...workload.workload.config, ...change });
  return { ...workload, workload: { ...workload.workload, version: workload.workload.version + 1, config } };
}

async function started(): Promise<string[]> {
  return (await real.mine()).map((one) => `${one.name} ${one.id.slice(0, 12)} ${one.startedAt}`).sort();
}

function code(expected: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof RefloatError, String(error));
    assert.equal(error.code, expected, error.message);
    return true;
  };
}

test('a deploy creates what is missing, labelled, and the next one without a change restarts nothing', async () => {
  const workload = await testWorkload(real, { replicas: 2, env: { SECRET: 'x y=z' }, restart: 'on-failure:3' });
  await rm(workload.live, { recursive: true });
  const intentId = newId();
  const result = await deploy(workload, { intentId });
  assert.equal(result.changed, true);
  assert.ok((await stat(workload.live)).isDirectory());
  for (const id of result.containers) {
    const container = await engine.inspect(id);
    assert.equal(container?.state, 'running');
    assert.deepEqual(container?.restartPolicy, { name: 'on-failure', maximumRetryCount: 3 });
    assert.equal(container?.labels['refloat.workload'], workload.workload.id);
    assert.equal(container?.labels['refloat.intent'], intentId);
    assert.match(container?.labels['refloat.spec'] ?? '', /^[0-9a-f]{64}$/);
    const env = await engine.exec(id, ['sh', '-c', 'echo "$SECRET"'], 10_000);
    assert.equal(env.output, 'x y=z\n');
  }
  const before = await started();
  const again = await deploy(workload);
  assert.equal(again.changed, false);
  assert.deepEqual([...again.containers].sort(), [...result.containers].sort());
  assert.deepEqual(await started(), before);
});

test('a change that shapes no container restarts nothing', async () => {
  const workload = await testWorkload(real);
  await deploy(workload);
  const before = await started();
  const result = await deploy(
    edited(workload, {
      hooks: { beforeCapture: ['true'] },
      capture: { freeze: 'stop' },
      health: { graceSeconds: 0.1, timeoutSeconds: 3 },
    }),
  );
  assert.equal(result.changed, false);
  assert.deepEqual(await started(), before);
});

test('a change replaces the containers, and nothing of the old ones is left', async () => {
  const workload = await testWorkload(real, { replicas: 2 });
  const first = await deploy(workload);
  const second = await deploy(edited(workload, { env: { V: '2' } }));
  assert.equal(second.changed, true);
  assert.equal(
    second.containers.some((id) => first.containers.includes(id)),
    false,
  );
  const { name } = workload.workload.config;
  assert.deepEqual((await real.mine()).map((one) => `${one.name} ${one.state}`).sort(), [
    `${name}-1 running`,
    `${name}-2 running`,
  ]);
});

test('more and fewer replicas leave the others running', async () => {
  const workload = await testWorkload(real, { replicas: 1 });
  await deploy(workload);
  const [first] = await started();
  await deploy(edited(workload, { replicas: 3 }));
  assert.equal((await started()).length, 3);
  assert.ok((await started()).includes(first ?? ''));
  await deploy(edited(workload, { replicas: 1 }));
  assert.deepEqual(await started(), [first]);
  await deploy(edited(workload, { replicas: 0 }));
  assert.deepEqual(await started(), []);
});

test('a tag that points to another image now replaces the containers; a named reference wins over the configured one', async () => {
  const workload = await testWorkload(real);
  await deploy(workload);
  const other = await buildImage(real.dockerHost, {
    name: 'refloat-test-other',
    binaries: ['sh', 'sleep'],
    command: ['sh', '-c', 'sleep 3600 & wait'],
  });
  const result = await deploy(workload, { reference: other });
  assert.equal(result.changed, true);
  assert.equal(result.image, other);
  assert.equal((await engine.inspect(result.containers[0] ?? ''))?.imageId, await engine.imageId(other));
});

test('an unhealthy new version is taken back: the old containers run again, as they were', async () => {
  const workload = await testWorkload(real, { replicas: 2, restart: 'always' });
  await deploy(workload);
  const before = await picture(real);
  await assert.rejects(
    deploy(edited(workload, { command: ['sh', '-c', 'echo no such database; exit 4'], health: LONG_GRACE })),
    (error: RefloatError) => {
      code('UNHEALTHY')(error);
      assert.match(error.message, /no such database/);
      return true;
    },
  );
  assert.deepEqual(await picture(real), before);
});

test('a first deploy that is unhealthy leaves nothing behind', async () => {
  const workload = await testWorkload(real, {
    command: ['sh', '-c', 'exit 4'],
    restart: 'always',
    health: LONG_GRACE,
  });
  await assert.rejects(deploy(workload), code('UNHEALTHY'));
  assert.deepEqual(await picture(real), []);
});

test('a cancel in the middle takes everything back', async () => {
  const workload = await testWorkload(real, { restart: 'always' });
  await deploy(workload);
  const before = await picture(real);
  const cancel = new AbortController();
  const slow = edited(workload, { env: { V: '2' }, health: { graceSeconds: 600, timeoutSeconds: 600 } });
  const watched = new Proxy(engine, {
    get(target, property) {
      if (property === 'start') cancel.abort(new RefloatError('CANCELLED', 'cancelled', { hint: '' }));
      const member = Reflect.get(target, property, target) as (...args: unknown[]) => unknown;
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  await assert.rejects(deploy(slow, { engine: watched, signal: cancel.signal }), code('CANCELLED'));
  assert.deepEqual(await picture(real), before);
});

test('a crash between any two calls of a deploy: repair gives all old containers or all new ones, running', async () => {
  const workload = await testWorkload(real, { replicas: 2, restart: 'always' });
  let now = edited(workload, { env: { V: '0' } });
  await deploy(now);
  let [brought, kept] = [0, 0];
  for (let at = 0; ; at += 1) {
    const before = await started();
    const old = await picture(real);
    const next = edited(workload, { env: { V: String(at) } });
    const intentId = newId();
    const cut = cutEngine(engine, at);
    const done = await deploy(next, { engine: cut.engine, intentId }).then(
      () => true,
      () => false,
    );
    // What runs, or would when Docker starts again: never old and new ones on the same data.
    const alive = (await real.mine()).filter((one) => one.active || one.restartPolicy.name !== 'no');
    const fresh = alive.filter((one) => one.labels['refloat.intent'] === intentId);
    assert.ok(fresh.length === 0 || fresh.length === alive.length, `cut at ${at}: ${alive.map(({ name }) => name)}`);
    assert.deepEqual(
      await findDeploysToRepair(engine, workload.workload.config.hostId),
      (await real.mine()).some((one) => one.name.includes('.refloat-deploy-')) ? [workload.workload.id] : [],
    );
    assert.deepEqual(await findDeploysToRepair(engine, newId()), [], 'another host’s agent would repair it');
    await locked(workload.workload.id, (lock) => repairDeploy({ engine }, lock, workload.workload.id));
    const containers = await real.mine();
    assert.equal(containers.length, 2, `cut at ${at}: ${containers.map(({ name }) => name)}`);
    for (const one of containers)
      assert.equal(`${one.state} ${one.restartPolicy.name}`, 'running always', `cut at ${at}`);
    if (containers.every((one) => one.labels['refloat.intent'] === intentId)) {
      kept += 1;
      now = next;
    } else {
      brought += 1;
      assert.deepEqual(await picture(real), old, `cut at ${at}`);
      if (at <= 4) assert.deepEqual(await started(), before, `cut at ${at}: needlessly restarted`);
    }
    if (done) break;
  }
  assert.ok(brought >= 8 && kept >= 3, `${brought} brought back, ${kept} kept`);
});

test('a deploy that died while the old container took its time to end: it is back, and stays', async () => {
  const slow = ['sh', '-c', 'trap "echo told; sleep 2; exit 0" TERM; while :; do sleep 3600 & wait $!; done'];
  const workload = await testWorkload(real, { restart: 'always', command: slow });
  const { containers } = await deploy(workload);
  const [id = ''] = containers;
  const old = await picture(real);
  const before = await started();
  const dying = new AbortController();
  const through = createEngine(real.dockerHost, { signal: dying.signal });
  const dead = deploy(edited(workload, { env: { V: '2' } }), { engine: through }).then(
    () => assert.fail('it passed'),
    () => undefined,
  );
  while (!(await engine.logs(id, 10)).includes('told')) assert.equal((await engine.inspect(id))?.active, true);
  dying.abort(new RefloatError('INTERRUPTED', 'dead', { hint: '', disposition: 'stuck' }));
  await dead;
  await locked(workload.workload.id, (lock) => repairDeploy({ engine }, lock, workload.workload.id));
  assert.deepEqual(await picture(real), old);
  assert.notDeepEqual(await started(), before, 'what was told to end has ended, and was started again');
});

test('an engine that is away for a while in the middle of a deploy: all old containers are back, running as before', async () => {
  const workload = await testWorkload(real, { replicas: 2, restart: 'always' });
  await deploy(workload);
  const old = await picture(real);
  for (const from of [2, 5, 9]) {
    const through = awayEngine(engine, from, 6);
    await assert.rejects(
      deploy(edited(workload, { env: { V: String(from) } }), { engine: through }),
      code('ENGINE_UNAVAILABLE'),
    );
    assert.deepEqual(await picture(real), old, `away from call ${from} on`);
  }
});

test('a deploy that cannot be taken back is stuck, and says what puts it right', async () => {
  const workload = await testWorkload(real);
  await deploy(workload);
  const cut = cutEngine(engine, 3);
  await assert.rejects(deploy(edited(workload, { env: { V: '1' } }), { engine: cut.engine }), (thrown) => {
    assert.ok(thrown instanceof RefloatError && thrown.disposition === 'stuck', String(thrown));
    assert.match(thrown.hint, /refloat-agent recover/);
    return true;
  });
});

test('an adopted container is replaced under its own name, and kept by the next deploy', async () => {
  const workload = await testWorkload(real);
  const { name } = workload.workload.config;
  const adopted = await real.create({
    name,
    mounts: [{ type: 'bind', source: workload.live, target: '/volumes/data', readOnly: false }],
  });
  await engine.start(adopted);
  const result = await deploy(workload);
  assert.equal(await engine.inspect(adopted), null);
  assert.deepEqual(
    (await real.mine()).map((one) => one.name),
    [name],
  );
  assert.equal((await deploy(workload)).changed, false);
  assert.equal(result.containers.length, 1);
});

test('a stranger that runs on the workload’s data makes a deploy refuse, and is named', async () => {
  const workload = await testWorkload(real);
  const stranger = `stranger-${workload.workload.id.slice(-8)}`;
  await engine.start(
    await real.create({
      name: stranger,
      mounts: [{ type: 'bind', source: join(workload.live, '..'), target: '/x', readOnly: false }],
    }),
  );
  await assert.rejects(
    deploy(workload),
    (error: RefloatError) => code('OUTSIDER')(error) && error.message.includes(stranger),
  );
  await deploy(
    edited(workload, {
      volumes: [{ name: 'data', scope: 'project', source: 'data', target: '/volumes/data', shared: true }],
    }),
  );
});

test('a stranger that reads one volume and writes to another is refused, whichever of its mounts comes first', async () => {
  const workload = await testWorkload(real);
  const other = join(workload.live, '../other');
  await mkdir(other);
  const two = edited(workload, {
    volumes: [
      { name: 'data', scope: 'project', source: 'data', target: '/volumes/data' },
      { name: 'other', scope: 'project', source: 'other', target: '/volumes/other' },
    ],
  });
  const name = `writer-${workload.workload.id.slice(-8)}`;
  const stranger = await real.create({
    name,
    mounts: [
      { type: 'bind', source: workload.live, target: '/read', readOnly: true },
      { type: 'bind', source: other, target: '/write', readOnly: false },
    ],
  });
  await engine.start(stranger);
  for (const early of [workload.live, other])
    await assert.rejects(
      deploy(two, { engine: mountsFirst(engine, ({ source }) => source === early) }),
      (error: RefloatError) =>
        code('OUTSIDER')(error) && error.details?.['container'] === name && error.details['path'] === other,
    );
});

test('volumes of every scope are mounted where they belong, read-only where they are to be', async () => {
  const workload = await testWorkload(real);
  const named = `rf-test-${workload.workload.id.slice(-8)}`;
  const absolute = join(workload.config.volumeBase, 'elsewhere');
  await mkdir(absolute);
  await writeFile(join(absolute, 'f'), 'absolute');
  const all = edited(workload, {
    user: '65534:65534',
    volumes: [
      { name: 'project', scope: 'project', source: 'deep/er', target: '/volumes/project' },
      { name: 'stage', scope: 'stage', source: 's', target: '/volumes/stage' },
      { name: 'abs', scope: 'absolute', source: absolute, target: '/volumes/abs', readOnly: true },
      { name: 'named', scope: 'named', source: named, target: '/volumes/named' },
      { name: 'inst', scope: 'instance', target: '/volumes/inst' },
      { name: 'eph', scope: 'ephemeral', target: '/volumes/eph' },
    ],
  });
  const result = await deploy({ ...all, config: { ...all.config, allowedRoots: [workload.config.volumeBase] } });
  const id = result.containers[0] ?? '';
  const { output } = await engine.exec(
    id,
    [
      'sh',
      '-c',
      'cat /volumes/abs/f; echo; (echo x > /volumes/abs/no) 2>/dev/null || echo read-only; echo y > /volumes/project/yes && echo written',
    ],
    10_000,
  );
  assert.equal(output, 'absolute\nread-only\nwritten\n');
  const created = await stat(join(workload.config.volumeBase, 'p/deep/er'));
  assert.deepEqual([created.uid, created.gid], [65534, 65534]);
  assert.ok((await stat(join(workload.config.volumeBase, 'p/prod/s'))).isDirectory());
  const mounts = new Map((await engine.inspect(id))?.mounts.map((mount) => [mount.destination, mount]));
  assert.equal(mounts.get('/volumes/named')?.name, named);
  assert.equal(mounts.get('/volumes/inst')?.name, `${workload.workload.config.name}-1-inst`);
  assert.equal(mounts.get('/volumes/eph')?.type, 'tmpfs');
  assert.equal(
    (await deploy({ ...all, config: { ...all.config, allowedRoots: [workload.config.volumeBase] } })).changed,
    false,
  );
  await real.removeAll();
  for (const name of [named, `${workload.workload.config.name}-1-inst`]) await real.removeVolume(name);
});

test('what cannot be right is refused before anything is touched', async () => {
  const workload = await testWorkload(real);
  await deploy(workload);
  const before = await started();
  const outside = join(workload.config.volumeBase, 'p', 'link');
  await symlink('/', outside);
  const volume = (source: string, scope: 'project' | 'absolute' = 'project') => [
    { name: 'data', scope, source, target: '/volumes/data' },
  ];
  const cases: [Partial<WorkloadConfigInput>, string][] = [
    [{ source: 'compose' }, 'SOURCE_NOT_IMAGE'],
    [{ image: 'localhost:1/no/such:image' }, 'IMAGE_GONE'],
    [{ volumes: volume('link/etc') }, 'SOURCE_ESCAPES_BASE'],
    [{ volumes: volume('/etc', 'absolute') }, 'SOURCE_OUTSIDE_ROOTS'],
  ];
  for (const [change, expected] of cases) await assert.rejects(deploy(edited(workload, change)), code(expected));
  // The configuration itself cannot be one of these.
  assert.throws(() => edited(workload, { image: '../../containers/json?x=' }), /image reference/);
  assert.deepEqual(await started(), before);
});

test('a name that a stranger has taken is refused, and the old containers run on', async () => {
  const workload = await testWorkload(real);
  await deploy(workload);
  await real.create({ name: `${workload.workload.config.name}-2` });
  const before = await started();
  await assert.rejects(deploy(edited(workload, { replicas: 2, env: { V: '2' } })), code('CONTAINER_FAILED'));
  assert.deepEqual(await started(), before);
});
