/**
 * Two workloads on one directory, `a` with a volume that is shared, and their intents side by side as in the claim loop of one agent:
 * each test begins the second one in the moment of the first one that is meant.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { expired, type HeldControl } from '../../../agent/claim/held-control.ts';
import type { IntentControl } from '../../../agent/claim/intent-control.ts';
import { compose } from '../../../agent/compose.ts';
import { parseConfig } from '../../../agent/config.ts';
import { record } from '../../../agent/deploy/quiesce.ts';
import { setAsideName } from '../../../agent/deploy/set-aside.ts';
import { WorkloadLocks } from '../../../agent/deploy/workload-lock.ts';
import type { AgentDeps } from '../../../agent/deps.ts';
import type { ContainerInfo, Engine } from '../../../agent/docker/engine.ts';
import type { ClaimedIntent, WorkloadRef } from '../../../agent/intents/claimed-intent.ts';
import { runIntent } from '../../../agent/intents/run-intent.ts';
import { recoverHost } from '../../../agent/recover-host.ts';
import { sha256Of } from '../../../agent/snapshots/manifest.ts';
import { RefloatError } from '../../../db/errors.ts';
import { newId } from '../../../db/ids.ts';
import type { IntentKind } from '../../../db/intent-state.ts';
import type { Outcome } from '../../../db/results.ts';
import type { WorkloadConfigInput } from '../../../db/workload.ts';
import { agentPlace } from '../../helpers/agent.ts';
import { testEngine } from '../../helpers/engine.ts';
import { Cut } from '../../helpers/fault-engine.ts';
import { claimedIntent } from '../../helpers/intent.ts';
import { createArchiver } from '../../helpers/shipped-archiver.ts';
import { SILENT_CONTROL } from '../../helpers/silent-control.ts';

const docker = await testEngine();
afterEach(() => docker.removeAll());

interface Side {
  readonly workload: WorkloadRef;
  /** Begins an intent; the end of it. */
  run(kind: IntentKind, more?: Partial<ClaimedIntent>, its?: Partial<IntentControl>): Promise<Outcome>;
  succeed(kind: IntentKind, more?: Partial<ClaimedIntent>): Promise<Outcome>;
  /** Its only container. */
  container(): Promise<ContainerInfo>;
}

interface Stage {
  readonly a: Side;
  readonly b: Side;
  readonly deps: AgentDeps;
  /** What happened, in order: `a restore begins`, `a restore quiesce started`, … and what was warned of. */
  readonly said: string[];
  /** Resolves when it was said, or any of the others has come to its end. */
  saying(what: string, ...or: readonly Promise<unknown>[]): Promise<void>;
  /** Once, when this call to the engine has had its effect. */
  onCall(call: keyof Engine, id: string, then: () => unknown): void;
  /** The directory of both. */
  readonly live: string;
  which(): string;
  write(which: string): void;
  /** A snapshot of the data as it is. */
  capture(side: Side): Promise<{ snapshot: NonNullable<ClaimedIntent['snapshot']> }>;
}

/** Ends where there is a file `fail`; that may take it more than the grace of the others. */
const MAY_FAIL = { env: { FAIL_IF: '/volumes/data/fail' }, health: { graceSeconds: 5, timeoutSeconds: 30 } } as const;
const RESTART = { restart: 'unless-stopped' } as const;

async function stage(
  more: { a?: Partial<WorkloadConfigInput>; b?: Partial<WorkloadConfigInput>; patienceMs?: number } = {},
): Promise<Stage> {
  const place = await agentPlace({ DOCKER_HOST: docker.dockerHost, REFLOAT_LOG: 'silent' });
  const live = join(place.volumeBase, 'p', 'data');
  mkdirSync(live, { recursive: true });
  const composed = compose(parseConfig(place.env, {}));
  const said: string[] = [];
  const listeners = new Set<() => void>();
  const say = (what: string): void => {
    said.push(what);
    for (const listener of listeners) listener();
  };
  const onCalls = new Map<string, () => unknown>();
  const engine = new Proxy(composed.engine, {
    get(target, call) {
      const member = Reflect.get(target, call, target) as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]) => {
        const answer = await member.apply(target, args);
        const key = `${String(call)} ${String(args[0])}`;
        const then = onCalls.get(key);
        onCalls.delete(key);
        await then?.();
        return answer;
      };
    },
  });
  const locks = new WorkloadLocks(more.patienceMs);
  const deps: AgentDeps = { ...composed, engine, archiver: createArchiver(), locks };
  const side = (letter: 'a' | 'b'): Side => {
    const { workload } = claimedIntent('deploy', {
      name: `${letter}-${newId().slice(-12)}`,
      project: 'p',
      image: docker.image,
      network: 'none',
      stopTimeoutSeconds: 5,
      health: { graceSeconds: 0.3, timeoutSeconds: 10 },
      volumes: [{ name: 'data', scope: 'project', source: 'data', target: '/volumes/data', shared: true }],
      ...RESTART,
      ...more[letter],
    });
    docker.ownWorkload(workload.id);
    const run: Side['run'] = async (kind, rest = {}, its = {}) => {
      const control = {
        ...SILENT_CONTROL,
        ...its,
        started: async () => say(`${letter} ${kind} begins`),
        emit: (type: string, data: Record<string, unknown>) =>
          say(`${letter} ${kind} ${type === 'warning' ? data['message'] : `${data['step']} ${data['status']}`}`),
      };
      const intent = { ...claimedIntent(kind), workload, ...rest };
      return runIntent(deps, intent, control as unknown as HeldControl);
    };
    return {
      workload,
      run,
      async succeed(kind, rest) {
        const outcome = await run(kind, rest);
        assert.equal(outcome.state, 'succeeded', JSON.stringify(outcome.error));
        return outcome;
      },
      async container() {
        const found = (await docker.mine()).filter(({ name }) => name.startsWith(workload.config.name));
        assert.equal(found.length, 1, `containers of ${letter}: ${found.map(({ name }) => name).join(', ')}`);
        return found[0] as ContainerInfo;
      },
    };
  };
  return {
    a: side('a'),
    b: side('b'),
    deps,
    said,
    live,
    async saying(what, ...or) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const listener = () => said.some((line) => line.includes(what)) && resolve();
      listeners.add(listener);
      listener();
      await Promise.race([promise, ...or]);
      listeners.delete(listener);
    },
    onCall: (call, id, then) => void onCalls.set(`${call} ${id}`, then),
    which: () => readFileSync(join(live, 'which'), 'utf8'),
    write: (which) => writeFileSync(join(live, 'which'), which),
    async capture({ workload, succeed }) {
      const { result } = await succeed('capture');
      const id = String(result?.snapshotId);
      const manifest = readFileSync(join(place.stateDir, 'snapshots', id, 'manifest.json'));
      return { snapshot: { id, workloadId: workload.id, kind: 'capture', manifestSha256: sha256Of(manifest) } };
    },
  };
}

/** Both deployed, `a` with a snapshot of `good`, and `bad` live. */
async function deployed(more: Parameters<typeof stage>[0] = {}) {
  const made = await stage(more);
  made.write('good');
  await Promise.all([made.a.succeed('deploy'), made.b.succeed('deploy')]);
  const good = await made.capture(made.a);
  made.write('bad');
  return { ...made, good };
}

const asBefore = ({ state, restartPolicy }: ContainerInfo) => [state, restartPolicy.name];
const AS_BEFORE = ['running', 'unless-stopped'];
const named = ({ workload }: Side) => new RegExp(`"${workload.config.name}"`);

const changed = ({ workload }: Side): WorkloadRef => ({
  ...workload,
  config: { ...workload.config, env: { ADDED: 'later' } },
});

/** Everything that is ready has run. */
async function asFarAsItGoes(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** In the place of its container, one of the workload's name without a label. */
async function adopt({ workload, container }: Side): Promise<void> {
  const { id, mounts, restartPolicy } = await container();
  await docker.engine.stop(id, 5);
  await docker.engine.remove(id);
  const bind = mounts.map(
    ({ source, destination: target }) => ({ type: 'bind', source, target, readOnly: false }) as const,
  );
  await docker.engine.start(await docker.create({ name: workload.config.name, mounts: bind, restartPolicy }));
}

for (const whose of ['its label', 'nothing but its directory'] as const) {
  test(`a capture that has paused a container, which is known by ${whose}, ends before a restore stops it`, async () => {
    const { a, b, good, saying, onCall, which, said } = await deployed({ b: { capture: { freeze: 'pause' } } });
    if (whose !== 'its label') await adopt(b);
    const { id } = await b.container();
    const [paused, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    onCall('pause', id, () => {
      paused.resolve();
      return go.promise;
    });
    const capture = b.succeed('capture');
    await paused.promise;
    // Were it stopped now, the capture would find nothing to wake, and the restore would pause it again.
    onCall('stop', id, () => {
      go.resolve();
      return capture;
    });
    const restore = a.succeed('restore', good);
    await saying(`a restore waits for what is under way on "${b.workload.config.name}"`, restore);
    go.resolve();
    await capture;
    const { result } = await restore;
    assert.equal(which(), 'good');
    assert.deepEqual(asBefore(await b.container()), AS_BEFORE);
    assert.match((result?.warnings ?? []).filter((warning) => warning.startsWith('waits for')).join(), named(b));
    assert.ok(said.indexOf('b capture resume done') < said.indexOf('a restore quiesce done'), said.join('\n'));
  });
}

test('a deploy that replaces a container ends before a restore stops it, and the new one is stopped', async () => {
  const { a, b, good, saying, onCall, which } = await deployed();
  const { id } = await b.container();
  const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  onCall('rename', id, () => {
    begun.resolve();
    return go.promise;
  });
  const deploy = b.succeed('deploy', { workload: changed(b) });
  await begun.promise;
  const restore = a.succeed('restore', good);
  await saying(`a restore waits for what is under way on "${b.workload.config.name}"`, restore);
  go.resolve();
  const { result } = await deploy;
  await restore;
  assert.equal(which(), 'good');
  const now = await b.container();
  assert.deepEqual([now.id], result?.containers);
  assert.deepEqual(asBefore(now), AS_BEFORE);
});

for (const kind of ['capture', 'deploy', 'restore'] as const) {
  test(`a ${kind} of a workload whose container a restore has stopped begins when that one is healthy`, async () => {
    const { a, b, good, onCall, said, which, ...made } = await deployed({ b: { capture: { freeze: 'stop' } } });
    const { id } = await b.container();
    const own = kind === 'restore' ? await made.capture(b) : {};
    const more = kind === 'deploy' ? { workload: changed(b) } : own;
    let second: Promise<Outcome> | null = null;
    onCall('stop', id, async () => {
      second = b.succeed(kind, more);
      await asFarAsItGoes();
    });
    await a.succeed('restore', good);
    await second;
    const order = ['a restore health done', `b ${kind} begins`, 'a restore preserve done'];
    assert.deepEqual(said.filter((line) => order.includes(line)).slice(-3), order);
    assert.equal(which(), kind === 'restore' ? 'bad' : 'good');
    const now = await b.container();
    assert.deepEqual(asBefore(now), AS_BEFORE);
    if (kind === 'deploy') assert.notEqual(now.id, id);
  });
}

for (const kind of ['capture', 'deploy'] as const) {
  test(`a ${kind} of an adopted container that a restore has stopped touches it when that one is healthy`, async () => {
    const { a, b, good, onCall, saying, said } = await deployed({ b: { capture: { freeze: 'stop' } } });
    await adopt(b);
    const { id } = await b.container();
    let second: Promise<Outcome> | null = null;
    onCall('stop', id, async () => {
      second = b.succeed(kind);
      await saying(`b ${kind} waits for`, second);
    });
    await a.succeed('restore', good);
    const outcome = (await second) as Outcome | null;
    const first = kind === 'capture' ? 'b capture preflight done' : 'b deploy deploy done';
    assert.ok(said.indexOf('a restore health done') < said.lastIndexOf(first), said.join('\n'));
    const now = await b.container();
    assert.deepEqual(asBefore(now), AS_BEFORE);
    if (kind === 'capture') assert.deepEqual(outcome?.result?.containers, [now.name], 'it was seen to run, and frozen');
    else assert.notEqual(now.id, id);
  });
}

test('two restores of one directory follow one another, also where no container tells, and the first is taken back', async () => {
  const { a, b, live, onCall, saying, said, which, write, capture } = await deployed({ a: MAY_FAIL });
  writeFileSync(join(live, 'fail'), '');
  const unhealthy = await capture(a);
  rmSync(join(live, 'fail'));
  write('of b');
  const ofB = await capture(b);
  const other = (await b.container()).id;
  await docker.engine.stop(other, 5);
  await docker.engine.remove(other);
  let second: Promise<Outcome> | null = null;
  onCall('start', (await a.container()).id, async () => {
    second = b.succeed('restore', ofB);
    await saying('b restore waits for', second);
  });
  const first = await a.run('restore', unhealthy);
  assert.deepEqual([first.state, first.error?.code], ['rolled_back', 'UNHEALTHY'], JSON.stringify(first.error));
  await second;
  assert.ok(said.indexOf('a restore stage undone') < said.indexOf('b restore quiesce done'), said.join('\n'));
  assert.equal(which(), 'of b');
});

test('of two restores that would stop each other’s containers one is refused at once, before anything stops', async () => {
  const { a, b, good, ...made } = await deployed();
  const ofB = await made.capture(b);
  const outcomes = await Promise.all([a.run('restore', good), b.run('restore', ofB)]);
  const refused = outcomes.find(({ state }) => state !== 'succeeded');
  assert.deepEqual(outcomes.map(({ state }) => state).sort(), ['rolled_back', 'succeeded']);
  assert.equal(refused?.error?.code, 'WORKLOAD_BUSY');
  assert.match(refused?.error?.message ?? '', /and waits for this one/);
  assert.equal(made.which(), refused === outcomes[0] ? 'bad' : 'good');
  for (const side of [a, b]) assert.deepEqual(asBefore(await side.container()), AS_BEFORE);
});

test('a plan beside a restore that works on its workload is refused as too early, not as stuck', async () => {
  const { a, b, good, capture, onCall } = await deployed();
  const ofB = await capture(b);
  const refusals = async (): Promise<string[]> => {
    const plans = [await a.succeed('plan', good), await b.succeed('plan', ofB)];
    return plans.map(({ result }) => result?.plan?.refusals.map(({ code }) => code).join() ?? 'no plan');
  };
  let meanwhile: string[] = [];
  onCall('stop', (await b.container()).id, async () => {
    meanwhile = await refusals();
  });
  await a.succeed('restore', good);
  assert.deepEqual(meanwhile, ['WORKLOAD_BUSY', 'WORKLOAD_BUSY']);
  assert.deepEqual(await refusals(), ['', '']);
});

test('a container of a workload that is not done in time is not touched, and the refusal names the workload', async () => {
  const { a, b, good, deps, which } = await deployed({ patienceMs: 50 });
  const { startedAt } = await b.container();
  const { name } = b.workload.config;
  const outcome = await deps.locks.withWorkloadLock(b.workload.id, () => a.run('restore', good), { name });
  assert.deepEqual([outcome.state, outcome.error?.code], ['rolled_back', 'WORKLOAD_BUSY']);
  assert.match(outcome.error?.message ?? '', named(b));
  assert.equal(which(), 'bad');
  assert.equal((await b.container()).startedAt, startedAt);
});

test('while a restore is stuck the workloads of its others take nothing new, and recovery waits for what they do', async () => {
  const { a, b, good, deps, onCall } = await deployed({ patienceMs: 50 });
  const { id } = await b.container();
  const alive = deps.engine;
  const dead = new Proxy(alive, {
    get: (_, call) => () => Promise.reject(new Cut(String(call))),
  });
  // The engine is gone for good from here on, so that nothing can be taken back.
  let engine = alive;
  Object.defineProperty(deps, 'engine', { get: () => engine });
  onCall('stop', id, () => {
    engine = dead;
    throw new Cut('stop');
  });
  const stuck = await a.run('restore', good);
  assert.equal(stuck.state, 'stuck', JSON.stringify(stuck.error));
  engine = alive;
  for (const kind of ['deploy', 'capture'] as const) {
    const { state, error } = await b.run(kind);
    assert.deepEqual([state, error?.code], ['failed', 'WORKLOAD_STUCK']);
    assert.match(error?.message ?? '', named(a));
  }
  const recover = async () =>
    (await recoverHost(deps)).intents.map(({ outcome, error }) => outcome?.state ?? error?.code);
  assert.deepEqual(await deps.locks.withWorkloadLock(b.workload.id, recover), ['WORKLOAD_BUSY']);
  assert.notEqual((await b.container()).state, 'running');
  assert.deepEqual(await recover(), ['rolled_back']);
  assert.deepEqual(asBefore(await b.container()), AS_BEFORE);
  await b.succeed('deploy');
});

test('a restore is refused where a workload of its others is stuck', async () => {
  const { a, b, good, deps, onCall, which } = await deployed({ b: { capture: { freeze: 'pause' } } });
  const { id } = await b.container();
  onCall('pause', id, () => {
    throw new Cut('pause');
  });
  onCall('unpause', id, () => {
    throw new Cut('unpause');
  });
  assert.equal((await b.run('capture')).state, 'stuck');
  const outcome = await a.run('restore', good);
  assert.deepEqual([outcome.state, outcome.error?.code], ['failed', 'WORKLOAD_STUCK']);
  assert.match(outcome.error?.message ?? '', named(b));
  assert.equal(which(), 'bad');
  await recoverHost(deps);
  await a.succeed('restore', good);
});

test('a restore leaves alone what an unfinished deploy of another workload has set aside', async () => {
  const { a, b, good, which } = await deployed();
  const container = await b.container();
  const { id, name } = container;
  await docker.engine.rename(id, setAsideName('deploy', b.workload.id, newId(), record(container)));
  const outcome = await a.run('restore', good);
  assert.deepEqual([outcome.state, outcome.error?.code], ['rolled_back', 'WORKLOAD_BUSY']);
  assert.equal(which(), 'bad');
  await b.succeed('deploy');
  const now = await b.container();
  assert.deepEqual([now.id, now.name, now.startedAt], [id, name, container.startedAt]);
});

const other = (source: string) =>
  ({ name: 'other', scope: 'project', source, target: '/volumes/other', shared: true }) as const;

/** A restore of the one begins a restore of the other one when it stops this container, and goes on when that one waits or ends. */
async function oneAfterTheOther(
  { onCall, saying, said }: Pick<Stage, 'onCall' | 'saying' | 'said'>,
  stopped: string,
  begin: { first: () => Promise<Outcome>; second: () => Promise<Outcome>; waits: string; step: string },
): Promise<void> {
  const [one, two] = begin.waits === 'b' ? ['a', 'b'] : ['b', 'a'];
  let second: Promise<Outcome> | null = null;
  onCall('stop', stopped, async () => {
    second = begin.second();
    await saying(`${two} restore waits for`, second);
  });
  await begin.first();
  await second;
  assert.ok(
    said.indexOf(`${one} restore health done`) < said.indexOf(`${two} restore ${begin.step} done`),
    said.join('\n'),
  );
}

test('restores of two directories follow one another where a container without a label is on both', async () => {
  const { a, b, good, live, capture, ...made } = await deployed({ b: { volumes: [other('other')] } });
  const ofB = await capture(b);
  const mounts = [{ type: 'bind', source: dirname(live), target: '/x', readOnly: true }] as const;
  const restartPolicy = { name: 'unless-stopped', maximumRetryCount: 0 } as const;
  const id = await docker.create({ name: `backup-${newId().slice(-12)}`, mounts, restartPolicy });
  await docker.engine.start(id);
  await oneAfterTheOther(made, id, {
    first: () => a.succeed('restore', good),
    second: () => b.succeed('restore', ofB),
    waits: 'b',
    step: 'quiesce',
  });
  const now = await docker.engine.inspect(id);
  assert.deepEqual(now === null ? null : asBefore(now), AS_BEFORE);
});

test('a restore waits for one that exchanges a directory on which it would start containers', async () => {
  const { a, b, good, capture, ...made } = await deployed({ b: { volumes: [other('other')] } });
  const ofB = await capture(b);
  const volumes = [...a.workload.config.volumes, { ...other('other'), optional: false }];
  const workload = { ...a.workload, config: { ...a.workload.config, volumes } } as WorkloadRef;
  await oneAfterTheOther(made, (await b.container()).id, {
    first: () => b.succeed('restore', ofB),
    second: () => a.run('restore', { ...good, workload }),
    waits: 'a',
    step: 'quiesce',
  });
});

test('a restore stages nothing in a directory while that is exchanged', async () => {
  const { a, b, good, capture, ...made } = await deployed({
    a: { volumes: [other('data/inner')] },
    b: { volumes: [other('data')] },
  });
  const ofB = await capture(b);
  const { id } = await a.container();
  await docker.engine.stop(id, 5);
  await docker.engine.remove(id);
  await oneAfterTheOther(made, (await b.container()).id, {
    first: () => b.succeed('restore', ofB),
    second: () => a.succeed('restore', good),
    waits: 'a',
    step: 'stage',
  });
});

test('while a restore has stopped its container a workload is verified, and what waits for it is cancelled at once', async () => {
  const { a, b, good, onCall, capture, said } = await deployed();
  const ofB = await capture(b);
  const ended: string[] = [];
  onCall('stop', (await b.container()).id, async () => {
    const cancel = new AbortController();
    const waiting = b.run('capture', {}, { signal: cancel.signal }).then(({ state }) => void ended.push(state));
    await asFarAsItGoes();
    cancel.abort(new RefloatError('CANCELLED', 'cancelled', { hint: '' }));
    await asFarAsItGoes();
    const verified = b.run('verify', ofB).then(({ state }) => void ended.push(state));
    await Promise.race([Promise.all([waiting, verified]), sleep(20_000, null, { ref: false })]);
    ended.push('a goes on');
  });
  await a.succeed('restore', good);
  assert.deepEqual(ended.slice(0, 3), ['cancelled', 'succeeded', 'a goes on']);
  assert.ok(
    said.some((line) => line.startsWith('b capture waits for') && named(a).test(line)),
    said.join('\n'),
  );
});

for (const now of ['is', 'was'] as const)
  test(`a deploy that failed is put right when no restore exchanges what ${now} its directory`, async () => {
    const { a, b, good, onCall, saying, said } = await deployed();
    const container = await b.container();
    await docker.engine.rename(container.id, setAsideName('deploy', b.workload.id, newId(), record(container)));
    await docker.engine.stop(container.id, 5);
    let second: Promise<Outcome> | null = null;
    onCall('start', container.id, () => said.push('b starts'));
    onCall('stop', (await a.container()).id, async () => {
      const config = { ...b.workload.config, ...(now === 'is' ? {} : { volumes: [] }) };
      second = b.succeed('deploy', { workload: { ...b.workload, config } });
      await saying('b deploy waits for', second);
    });
    await a.succeed('restore', good);
    await second;
    assert.ok(said.indexOf('a restore health done') < said.indexOf('b starts'), said.join('\n'));
  });

test('a restore whose time is over when it has staged, or waited, stops nothing', async () => {
  const { a, b, good, which } = await deployed();
  const before = [await a.container(), await b.container()];
  const outcome = await a.run('restore', good, { confirmStop: () => Promise.reject(expired()) });
  assert.deepEqual([outcome.state, outcome.error?.code], ['rolled_back', 'EXPIRED']);
  assert.deepEqual([await a.container(), await b.container()], before);
  assert.equal(which(), 'bad');
});

test('a directory that a deploy made while a restore was waiting for it is not removed when that one is taken back', async () => {
  const { a, b, live, saying, capture } = await stage({ a: MAY_FAIL });
  await a.succeed('deploy');
  writeFileSync(join(live, 'fail'), '');
  const unhealthy = await capture(a);
  const { id } = await a.container();
  await docker.engine.stop(id, 5);
  await docker.engine.remove(id);
  rmSync(live, { recursive: true });
  const restore = a.run('restore', unhealthy);
  await saying('a restore preflight done', restore);
  await b.succeed('deploy');
  const { state, error } = await restore;
  assert.deepEqual([state, error?.code], ['rolled_back', 'UNHEALTHY'], JSON.stringify(error));
  assert.ok(existsSync(live));
  assert.deepEqual(asBefore(await b.container()), AS_BEFORE);
});
