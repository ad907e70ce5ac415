/**
 * Sweep "engine": the real engine restarts, hangs, hangs up, or answers 304, 404, 409, 500 or 503, at each of the calls that a
 * restore, an undo, an unwinding, a capture, a deploy, a recreating restore and a recovery make; once each, with the call's
 * effect and without. When the agent says `stuck`, a recovery on a sound engine must put everything right.
 */
import { join } from 'node:path';
import { runCapture } from '../../agent/capture/capture.ts';
import { createEngine } from '../../agent/docker/dockerode-engine.ts';
import type { Engine } from '../../agent/docker/engine.ts';
import { startPrivateEngine } from '../../agent/docker/private-engine.ts';
import type { ClaimedIntent } from '../../agent/intents/claimed-intent.ts';
import { deployIntent } from '../../agent/intents/deploy.ts';
import { failure } from '../../agent/intents/run-intent.ts';
import { recoverHost } from '../../agent/recover-host.ts';
import { readJournal } from '../../agent/restore/journal-dir.ts';
import { runRestore } from '../../agent/restore/restore.ts';
import type { Outcome } from '../../db/results.ts';
import type { Random } from '../crash/random.ts';
import type { CaseResult, Slot, SweepSession } from '../crash/sweep.ts';
import { type EngineFault, type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { Lab, type Second, type Version } from './lab.ts';

const FLOWS = ['restore', 'undo', 'unwind', 'capture', 'deploy', 'recreate', 'recover'] as const;
type Flow = (typeof FLOWS)[number];

const FAULTS: Readonly<Record<string, EngineFault>> = {
  '304': { kind: 'status', status: 304, had: false },
  '404': { kind: 'status', status: 404, had: false },
  '409': { kind: 'status', status: 409, had: false },
  '500': { kind: 'status', status: 500, had: false },
  '500-had': { kind: 'status', status: 500, had: true },
  '503': { kind: 'status', status: 503, had: false },
  hang: { kind: 'hang', had: false },
  'hang-had': { kind: 'hang', had: true },
  reset: { kind: 'reset', had: false },
  'reset-had': { kind: 'reset', had: true },
  away: { kind: 'away', calls: 6 },
  restart: { kind: 'restart', signal: 'SIGTERM', had: false },
  kill: { kind: 'restart', signal: 'SIGKILL', had: true },
};
const SECONDS: readonly Second[] = ['running', 'paused', 'stopped', 'on-failure'];
/** Of the agent's engine; long enough for a loaded machine, since a time-out is a fault of its own. */
const TIMES = { quickMs: 6000, slowMs: 10_000, stopMarginMs: 10_000 };
/** Journal records of a restore, at each of which the agent of a recovery's case has died. */
const RECORDS = 34;

export async function openEngineSession(slot: Slot): Promise<SweepSession> {
  const lab = await Lab.open(join(slot.directory, 'lab'));
  const engine = join(slot.directory, 'lab', 'engine');
  const proxy = await startFaultProxy({
    socket: join(slot.directory, 'proxy.sock'),
    upstream: lab.dockerHost.slice('unix://'.length),
    restart: (signal) => restart(engine, signal),
  });
  const session = new EngineSession(lab, proxy, () => restart(engine, 'SIGTERM'));
  return {
    cases: (count, random) => session.cases(count, random),
    run: (name) => session.run(name),
    async close() {
      await proxy.close();
      await lab.close();
    },
  };
}

async function restart(directory: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const handle = await startPrivateEngine(directory);
  await handle.stop(signal);
  await startPrivateEngine(directory);
}

/** An engine that starts again starts what is stopped or paused and has policy `always`: that is its doing, not the agent's. */
function secondFor(fault: string, random: Random): Second {
  return FAULTS[fault]?.kind === 'restart' ? 'running' : random.pick(SECONDS);
}

/** A dockerd that was killed while it started a container may not know of it, and its containerd does: only another restart ends that. */
function isOfDocker({ error }: Outcome): boolean {
  return error?.message.includes(': already exists') === true;
}

class EngineSession {
  readonly #lab: Lab;
  readonly #proxy: FaultProxy;
  readonly #through: Engine;
  readonly #restartEngine: () => Promise<void>;
  #isDirty = false;
  #generation = 0;
  #calls = 0;
  /** The intent that an undo takes back. */
  #lastRestore = '';

  constructor(lab: Lab, proxy: FaultProxy, restartEngine: () => Promise<void>) {
    this.#lab = lab;
    this.#proxy = proxy;
    this.#restartEngine = restartEngine;
    this.#through = createEngine(proxy.dockerHost, TIMES);
  }

  /** `flow/fault/call/second`; how many calls a flow makes is learned by running it once without a fault. */
  async cases(count: number, random: Random): Promise<string[]> {
    const all: string[] = [];
    for (const flow of FLOWS) {
      const calls = await this.#countCalls(flow);
      for (const fault of Object.keys(FAULTS)) {
        for (let call = 1; call <= calls; call += 1) all.push(`${flow}/${fault}/${call}/${secondFor(fault, random)}`);
      }
    }
    // Some are never met: a flow makes fewer calls after an early failure.
    return random.shuffle(all).slice(0, Math.ceil(count * 1.1));
  }

  async #countCalls(flow: Flow): Promise<number> {
    const { violations } = await this.run(`${flow}/none/0/running`);
    if (violations.length > 0) throw new Error(`${flow} fails without a fault: ${violations.join('; ')}`);
    return this.#calls;
  }

  async run(name: string): Promise<CaseResult> {
    const [flow, faultName, call, second] = name.split('/') as [Flow, string, string, Second];
    // A case that ended early may have left the engine restarting.
    await this.#proxy.disarm();
    if (this.#isDirty) await this.#lab.rebuild();
    this.#isDirty = true;
    const fault = FAULTS[faultName];
    if (flow === 'undo') await this.#cleanRestore();
    await this.#lab.begin(second, flow === 'undo');
    const before = this.#lab.version() ?? 'one';
    const { intent, wanted } = this.#prepare(flow, before);
    if (flow === 'recover') await this.#die(intent, 1 + ((Number(call) * 7) % RECORDS));
    this.#proxy.arm(Number(call), fault ?? { kind: 'away', calls: 0 });
    let outcome =
      flow === 'recover' ? await this.#recover(intent, this.#through) : await this.#work(intent, this.#through);
    const { calls, met } = await this.#proxy.disarm();
    this.#calls = calls;
    let ended: string = outcome.state;
    if (outcome.state === 'stuck') {
      outcome = await this.#recover(intent, this.#lab.engine);
      ended = `stuck, then ${outcome.state}`;
    }
    if (outcome.state === 'stuck' && isOfDocker(outcome)) {
      await this.#restartEngine();
      outcome = await this.#recover(intent, this.#lab.engine);
      ended = `stuck by Docker until it was restarted, then ${outcome.state}`;
    }
    const violations = await this.#lab.judge(intent.kind, before, wanted, outcome);
    this.#isDirty = violations.length > 0;
    return {
      count: met || fault === undefined ? 1 : 0,
      violations,
      ended: met || fault === undefined ? ended : 'not met',
    };
  }

  /** So that there is something to undo. */
  async #cleanRestore(): Promise<void> {
    await this.#lab.begin('running', false);
    const before = this.#lab.version() ?? 'one';
    const intent = this.#restoreOf(before === 'one' ? 'two' : 'one');
    const outcome = await this.#work(intent, this.#lab.engine);
    if (outcome.state !== 'succeeded')
      throw new Error(`a restore without a fault is ${outcome.state}: ${JSON.stringify(outcome.error)}`);
    this.#lastRestore = intent.id;
  }

  #restoreOf(version: Version): ClaimedIntent {
    return this.#lab.intent('restore', { snapshot: this.#lab.snapshot(version) });
  }

  #prepare(flow: Flow, before: Version): { intent: ClaimedIntent; wanted: Version } {
    const other: Version = before === 'one' ? 'two' : 'one';
    switch (flow) {
      case 'restore':
      case 'recover':
        return { intent: this.#restoreOf(other), wanted: other };
      case 'undo': {
        const undoOf = { intentId: this.#lastRestore, preRestoreSnapshot: null };
        return { intent: this.#lab.intent('undo', { undoOf }), wanted: other };
      }
      case 'unwind': {
        // On a loaded machine the application needs its time to end.
        const { workload } = this.#lab;
        const patient = {
          ...workload,
          config: { ...workload.config, health: { graceSeconds: 5, timeoutSeconds: 20 } },
        };
        return { intent: { ...this.#restoreOf('bad'), workload: patient }, wanted: 'bad' };
      }
      case 'capture':
        return { intent: this.#lab.intent('capture'), wanted: before };
      case 'deploy':
      case 'recreate': {
        this.#generation += 1;
        const { env } = this.#lab.workload.config;
        this.#lab.configure(this.#lab.workloadWith({ env: { ...env, GENERATION: String(this.#generation) } }));
        return flow === 'deploy'
          ? { intent: this.#lab.intent('deploy'), wanted: before }
          : { intent: this.#restoreOf(other), wanted: other };
      }
      default:
        return flow satisfies never;
    }
  }

  async #work(intent: ClaimedIntent, through: Engine, now = () => new Date()): Promise<Outcome> {
    const deps = this.#lab.deps(through, { now });
    return deps.locks.withWorkloadLock(intent.workload.id, (lock) =>
      this.#lab.spooled(intent.id, deps, async (control) => {
        if (intent.kind === 'capture') return runCapture(deps, lock, intent, control);
        if (intent.kind === 'deploy') return deployIntent(deps, lock, intent, control).catch(failure);
        return runRestore(deps, lock, intent, control);
      }),
    );
  }

  /** An agent that works on the intent, and is gone from the n-th time on that it looks at the clock: no record follows. */
  async #die(intent: ClaimedIntent, records: number): Promise<void> {
    let looks = 0;
    const now = (): Date => {
      looks += 1;
      if (looks > records) throw new Error('this agent is dead');
      return new Date();
    };
    await this.#work(intent, this.#lab.engine, now).catch(() => undefined);
  }

  async #recover(intent: ClaimedIntent, through: Engine): Promise<Outcome> {
    const deps = this.#lab.deps(through);
    await recoverHost(deps).catch(async () => {
      // An engine that restarts is not there yet.
      await this.#proxy.disarm();
      await recoverHost(this.#lab.deps());
    });
    const known = readJournal(this.#lab.config.stateDir, intent.id).state?.outcome ?? null;
    return known ?? { state: 'failed', result: null, error: null };
  }
}
