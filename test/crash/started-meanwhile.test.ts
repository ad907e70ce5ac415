/**
 * What a container does beside the agent's own calls: it takes its time to end when it is told to, while the agent dies or does not
 * wait for it; somebody else starts it, or another one, while the workload is down; and it goes on working on its files while recovery
 * looks at them. The daemon is a simulated one, so that all of it happens in the moment that is meant.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { runCapture } from '../../agent/capture/capture.ts';
import { compose } from '../../agent/compose.ts';
import { parseConfig } from '../../agent/config.ts';
import type { AgentDeps } from '../../agent/deps.ts';
import { createEngine } from '../../agent/docker/dockerode-engine.ts';
import type { ContainerSpec, Engine } from '../../agent/docker/engine.ts';
import type { ClaimedIntent } from '../../agent/intents/claimed-intent.ts';
import { runRestore } from '../../agent/restore/restore.ts';
import { newId } from '../../db/ids.ts';
import type { Outcome } from '../../db/results.ts';
import { SILENT_CONTROL } from '../helpers/silent-control.ts';
import { goOnAsApplication } from './application.ts';
import { bundle } from './bundle.ts';
import { Field, type Perform } from './field.ts';
import { judge } from './oracle.ts';
import { runDriver } from './run-driver.ts';
import type { Scenario } from './scenarios.ts';
import { recoverAll, type Told } from './work.ts';

const directory = mkdtempSync(join(tmpdir(), 'rf-meanwhile-'));
const fields = new Map<Scenario, Field>();
after(async () => {
  for (const field of fields.values()) await field.close();
  rmSync(directory, { recursive: true });
});
const program = await bundle(join(directory, 'program'));
/** Longer than a recovery takes that waits for nothing. */
const STOP_MS = 1500;

/** As it was when it was made, with containers that end at once. */
async function fieldOf(scenario: Scenario): Promise<Field> {
  const field = fields.get(scenario) ?? (await makeField(scenario));
  fields.set(scenario, field);
  field.reset();
  field.daemon.stopMs = 0;
  return field;
}

async function makeField(scenario: Scenario): Promise<Field> {
  const folder = join(directory, scenario);
  mkdirSync(folder, { recursive: true });
  const perform: Perform = async (environment, intent) => {
    const intentFile = join(folder, 'prepare.json');
    writeFileSync(intentFile, JSON.stringify(intent));
    const { told, errors } = await runDriver({ program, intentFile, environment }, ['run', intentFile]);
    assert.ok(told !== null, errors);
    return told;
  };
  return Field.open({ scenario, directory: folder, program, perform });
}

const intentOf = (field: Field): ClaimedIntent => JSON.parse(readFileSync(field.intentFile, 'utf8')) as ClaimedIntent;

/** Kills an agent in the moment in which containers have been told to end, and lets the next one recover. */
async function killedWhileStopping(field: Field, intentFile: string): Promise<Told> {
  field.daemon.stopMs = STOP_MS;
  const child = spawn(process.execPath, [program, 'run', intentFile], { env: field.environment, stdio: 'ignore' });
  const exited = once(child, 'exit');
  while (field.daemon.ending.length === 0) {
    assert.equal(child.exitCode, null, 'it stopped nothing');
    await delay(2);
  }
  child.kill('SIGKILL');
  await exited;
  const { told, errors } = await runDriver(field, ['recover']);
  assert.ok(told !== null, errors);
  await field.daemon.allEnded();
  return told;
}

for (const scenario of ['one', 'two', 'recreate'] as const) {
  test(`killed while containers end slowly, before the commit point of a restore (${scenario}): they run again, for good`, async () => {
    const field = await fieldOf(scenario);
    const told = await killedWhileStopping(field, field.intentFile);
    assert.equal(told.intents[0]?.outcome.state, 'rolled_back');
    assert.deepEqual(judge(field, { told }), { violations: [], ended: 'old' });
  });
}

test('killed while containers end slowly for a capture: they run again, for good', async () => {
  const field = await fieldOf('one');
  const { workload, ...intent } = intentOf(field);
  const config = { ...workload.config, capture: { ...workload.config.capture, freeze: 'stop' } };
  const file = join(directory, 'capture.json');
  const id = newId();
  writeFileSync(file, JSON.stringify({ ...intent, id, kind: 'capture', workload: { ...workload, config } }));
  const told = await killedWhileStopping(field, file);
  assert.equal(told.intents[0]?.outcome.state, 'rolled_back');
  const [container] = field.daemon.containers;
  assert.deepEqual([container?.state, container?.policy.Name], ['running', 'always']);
});

test('an agent that does not wait for the end of a stop any more brings the containers back all the same', async () => {
  for (const kind of ['restore', 'capture'] as const) {
    const field = await fieldOf('one');
    field.daemon.stopMs = STOP_MS;
    let isFirst = true;
    const outcome = await run(field, kind, {
      stop: async (real, ...args) => {
        if (!isFirst) return real.stop(...args);
        isFirst = false;
        // Docker goes on with it.
        void real.stop(...args);
        while (field.daemon.ending.length === 0) await delay(2);
        throw new Error('gave up');
      },
    });
    assert.equal(outcome.state, 'rolled_back', JSON.stringify(outcome.error));
    await field.daemon.allEnded();
    const [container] = field.daemon.containers;
    assert.deepEqual([kind, container?.state, container?.policy.Name], [kind, 'running', 'always']);
  }
});

/** Other answers to some calls of the agent's engine, with the real ones at hand. */
type Instead = {
  readonly [Call in 'start' | 'stop' | 'inspect' | 'activeMounts']?: (
    real: Engine,
    ...args: Parameters<Engine[Call]>
  ) => ReturnType<Engine[Call]>;
};

/** An agent in this process, with an engine of which some calls are watched. */
function agentOf(field: Field, instead: Instead): AgentDeps {
  const composed = compose(parseConfig(field.environment, {}));
  const engine = new Proxy(composed.engine, {
    get(target, property) {
      const given = instead[property as keyof Instead] as ((real: Engine, ...args: unknown[]) => unknown) | undefined;
      if (given !== undefined) return (...args: unknown[]) => given(target, ...args);
      const member = Reflect.get(target, property, target) as unknown;
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  return { ...composed, engine };
}

async function run(field: Field, kind: 'restore' | 'capture', instead: Instead): Promise<Outcome> {
  const deps = agentOf(field, instead);
  const { workload, ...rest } = intentOf(field);
  const config = { ...workload.config, capture: { ...workload.config.capture, freeze: 'stop' as const } };
  const intent = { ...rest, id: kind === 'restore' ? rest.id : newId(), kind, workload: { ...workload, config } };
  const work = kind === 'restore' ? runRestore : runCapture;
  return deps.locks.withWorkloadLock(workload.id, (lock) => work(deps, lock, intent, SILENT_CONTROL));
}

test('a start that the list of containers does not show yet is noticed before the commit point', async () => {
  const field = await fieldOf('one');
  const [own] = field.daemon.containers;
  assert.ok(own !== undefined);
  const outcome = await run(field, 'restore', {
    async activeMounts(real) {
      const shown = await real.activeMounts();
      // The list is a copy that Docker renews when a start has ended; this one is under way.
      if (own.state !== 'running') await real.start(own.id);
      return shown;
    },
    // Docker answers of a container when what it does with it has ended.
    inspect: (real, id) => delay(50).then(() => real.inspect(id)),
  });
  assert.deepEqual([outcome.state, outcome.error?.code], ['rolled_back', 'CONTAINER_FAILED']);
  assert.deepEqual(judge(field, { told: null }), { violations: [], ended: 'old' });
});

test('a container that somebody starts between the last look and the exchange ends up on the new data', async () => {
  const field = await fieldOf('one');
  const [own] = field.daemon.containers;
  assert.ok(own !== undefined);
  let looks = 0;
  const outcome = await run(field, 'restore', {
    async inspect(real, id) {
      const info = await real.inspect(id);
      const isLastLook = info?.active === false && id === own.id;
      if (isLastLook) looks += 1;
      if (isLastLook && looks === 1) await real.start(id);
      return info;
    },
  });
  assert.equal(outcome.state, 'succeeded', JSON.stringify(outcome.error));
  assert.deepEqual(
    field.seen.map(({ version }) => version),
    [field.before, field.wanted],
    'it was started on what lay there before, and again on the new data',
  );
  assert.deepEqual(judge(field, { told: null }), { violations: [], ended: 'new' });
});

test('a container that nobody else starts is started once', async () => {
  const field = await fieldOf('two');
  const calls: string[] = [];
  const outcome = await run(field, 'restore', {
    start: (real, id) => real.start(id).finally(() => calls.push('start')),
    stop: (real, ...args) => real.stop(...args).finally(() => calls.push('stop')),
  });
  assert.equal(outcome.state, 'succeeded', JSON.stringify(outcome.error));
  assert.deepEqual(
    calls,
    ['stop', 'stop', 'stop', 'start', 'start'],
    'of three containers, one of which was stopped before',
  );
});

test('one that somebody starts before the exchange is taken back does not stay on the tree that was refused', async () => {
  const field = await fieldOf('unwind');
  const [own] = field.daemon.containers;
  assert.ok(own !== undefined);
  let looks = 0;
  const outcome = await run(field, 'restore', {
    async inspect(real, id) {
      const info = await real.inspect(id);
      const isUnwinding = field.seen.some(({ version }) => version === field.wanted);
      if (!isUnwinding || id !== own.id || info?.restartPolicy.name !== 'no') return info;
      looks += 1;
      // Behind the last look of redeploy's undo. The application finds the new version, and does not mind.
      if (looks === 2) [own.state, own.exitCode, own.startedAt] = ['running', 0, 'on the new tree'];
      return info;
    },
  });
  assert.equal(outcome.state, 'rolled_back', JSON.stringify(outcome.error));
  assert.ok(looks >= 2, `${looks} looks`);
  assert.notEqual(own.startedAt, 'on the new tree');
  assert.deepEqual(judge(field, { told: null }), { violations: [], ended: 'old' });
});

test('who starts on the paths between a crash behind the commit point and the recovery is named', async () => {
  const field = await fieldOf('one');
  const killed = await runDriver(field, ['run', field.intentFile], {
    environment: { REFLOAT_CRASH_AT: 'swap-before:v0#1' },
  });
  assert.equal(killed.signal, 'SIGKILL');
  const engine = createEngine(field.daemon.dockerHost);
  const [own] = field.daemon.containers;
  const spec: ContainerSpec = {
    name: 'monitor',
    image: own?.image ?? '',
    env: {},
    labels: {},
    network: 'none',
    ports: [],
    mounts: [{ type: 'bind', source: dirname(field.live[0] ?? ''), target: '/x', readOnly: true }],
    restartPolicy: { name: 'no', maximumRetryCount: 0 },
    stopTimeoutSeconds: 1,
  };
  await engine.start(await engine.create(spec));
  const { told, errors } = await runDriver(field, ['recover']);
  const outcome = told?.intents[0]?.outcome;
  assert.equal(outcome?.state, 'succeeded', errors);
  assert.match((outcome?.result?.warnings ?? []).join('\n'), /container "monitor" was started on .*data-0/);
  assert.equal(field.version(), field.wanted);
});

for (const [scenario, point, state, ended] of [
  ['mount-writes', 'journal-before:done:redeploy#1', 'succeeded', 'new'],
  ['mount-unwind', 'undo-before:redeploy#1', 'rolled_back', 'old'],
] as const) {
  test(`killed at ${point}, while the application goes on with what lies at the top of its mount point`, async () => {
    const field = await fieldOf(scenario);
    const killed = await runDriver(field, ['run', field.intentFile], { environment: { REFLOAT_CRASH_AT: point } });
    assert.equal(killed.signal, 'SIGKILL');
    const end = await goOnAsApplication(field.live[0] ?? '');
    try {
      const told = await recoverAll(agentOf(field, { stop: (real, ...args) => end().then(() => real.stop(...args)) }));
      assert.equal(told.intents[0]?.outcome.state, state, JSON.stringify(told));
      assert.deepEqual(judge(field, { told }), { violations: [], ended });
    } finally {
      await end();
    }
  });
}
