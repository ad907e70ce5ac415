/**
 * Hosts whose agent works in this process, with a point before each call that changes something: where it ends there, its disk may
 * lose power with it (ext4, xfs), or only the process is gone (tmpfs). A tenth of the cost of a process, for sweeps over every point.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ClaimedIntent } from '../../agent/intents/claimed-intent.ts';
import { type LoopFileSystem, mountLoop } from '../helpers/loop-fs.ts';
import { bundle, type Change, sharedBundle } from './bundle.ts';
import { Field } from './field.ts';
import type * as InProcess from './in-process.ts';
import { judge } from './oracle.ts';
import type { Scenario } from './scenarios.ts';
import type { CaseResult, Slot, Sweep, SweepSession } from './sweep.ts';
import type { Told } from './work.ts';

export type Agent = typeof InProcess;
/** `small`: ext4 of 64 MiB with few inodes. */
export type DiskType = 'ext4' | 'xfs' | 'tmpfs' | 'small';

export interface Host {
  readonly field: Field;
  /** Null on tmpfs. */
  readonly disk: LoopFileSystem | null;
}

/** xfs takes no less than 320 MiB. */
const IMAGE_BYTES = 400 * 1024 * 1024;
const SMALL_BYTES = 64 * 1024 * 1024;

/** What a sweep has whose cases run on hosts of this process. */
export interface OnHosts {
  readonly slot: Slot;
  readonly hosts: Hosts;
  readonly agent: Agent;
}

/** A sweep whose cases run on hosts of its slot. */
export function sweepOnHosts(
  begin: (on: OnHosts) => Omit<SweepSession, 'close'> & Partial<Pick<SweepSession, 'close'>>,
  { startsDriver = false }: { readonly startsDriver?: boolean } = {},
): Sweep {
  return {
    async open(slot) {
      const agent = (await import(pathToFileURL(await sharedBundle(slot.programs, WITH_POINTS)).href)) as Agent;
      const program = startsDriver ? await sharedBundle(slot.programs) : undefined;
      const hosts = new Hosts(slot.directory, agent, program);
      const session = begin({ slot, hosts, agent });
      return {
        ...session,
        async close() {
          await session.close?.();
          await hosts.close();
        },
      };
    },
  };
}

const WITH_POINTS = {
  entry: 'test/crash/in-process.ts',
  instead: { 'node:fs': 'test/crash/fs-points.ts', koffi: 'test/crash/koffi-points.ts' },
};

/** The agent with some of its text changed, with the points below it. */
export async function loadAgent(directory: string, changes: readonly Change[]): Promise<Agent> {
  const program = await bundle(directory, { ...WITH_POINTS, changes });
  return (await import(pathToFileURL(program).href)) as Agent;
}

/** Each made when it is first asked for. */
export class Hosts {
  readonly #directory: string;
  readonly #agent: Agent;
  readonly #program: string | undefined;
  readonly #made = new Map<string, Host>();

  /** @param program the driver, if it is to be started */
  constructor(directory: string, agent: Agent, program?: string) {
    this.#directory = directory;
    this.#agent = agent;
    this.#program = program;
  }

  async of(type: DiskType, scenario: Scenario): Promise<Host> {
    const key = `${type}-${scenario}`;
    const made = this.#made.get(key);
    if (made !== undefined) return made;
    const directory = join(this.#directory, key);
    mkdirSync(directory, { recursive: true });
    const disk = mountDisk(type, directory);
    const field = await Field.open({
      scenario,
      directory,
      perform: (environment, intent) => this.#agent.inProcess(environment, intent),
      ...(this.#program === undefined ? {} : { program: this.#program }),
      ...(disk === null ? {} : { hostRoot: join(disk.path, 'host') }),
    });
    const host = { field, disk };
    this.#made.set(key, host);
    return host;
  }

  async close(): Promise<void> {
    for (const { field, disk } of this.#made.values()) {
      await field.close();
      disk?.unmount();
    }
  }
}

function mountDisk(type: DiskType, folder: string): LoopFileSystem | null {
  if (type === 'tmpfs') return null;
  if (type === 'small') return mountLoop('ext4', SMALL_BYTES, { folder, inodes: 1024 });
  return mountLoop(type, IMAGE_BYTES, { folder });
}

/** What an undisturbed run asks of the disk and the engine, in order. */
export async function callsOf(agent: Agent, { field }: Host): Promise<readonly string[]> {
  field.reset();
  agent.arm(0, () => undefined);
  await agent.inProcess(field.environment, intentOf(field));
  return agent.callsSoFar();
}

/** Ends the work before its n-th change, and leaves the host like that. */
export async function stopAt(agent: Agent, host: Host, n: number): Promise<void> {
  host.field.reset();
  await until(agent, n, host, intentOf(host.field));
}

/** Ends the work before its n-th change, then recovery before its m-th, and so on; then lets recovery come to its end. */
export async function runCut(agent: Agent, host: Host, cuts: readonly number[]): Promise<CaseResult> {
  const { field } = host;
  field.reset();
  let told: Told | null = null;
  const early: string[] = [];
  for (const [index, n] of cuts.entries()) {
    told = await until(agent, n, host, index === 0 ? intentOf(field) : null, (said) => {
      // What came to its end by itself leaves nothing for recovery to put right.
      const { violations } = judge(field, { told: said, isFaultless: true, booted: index > 0 });
      early.push(...violations.map((violation) => `before any recovery: ${violation}`));
    });
  }
  agent.arm(0, () => undefined);
  const recovered = await agent.inProcess(field.environment, null);
  const { violations, ended } = judge(field, { told: told ?? recovered, isFaultless: true, booted: true });
  return { count: 1, violations: [...early, ...violations], ended };
}

/**
 * Works until everything ends before the n-th change, or, if there are fewer, right behind the end.
 * @param atItsEnd called in that case, before the power goes
 */
async function until(
  agent: Agent,
  n: number,
  host: Host,
  intent: ClaimedIntent | null,
  atItsEnd: (told: Told) => void = () => undefined,
): Promise<Told | null> {
  const { field, disk } = host;
  let isOver = false;
  agent.arm(
    n,
    () => {
      // From here on this process does nothing any more.
      if (!isOver) disk?.shutDown();
      isOver = true;
      field.daemon.isDead = true;
      throw Object.assign(new Error('it is over'), { code: 'EIO' });
    },
    true,
  );
  const told = await agent.inProcess(field.environment, intent).catch((error: unknown) => {
    if (!isOver) throw error;
    return null;
  });
  agent.arm(0, () => undefined);
  if (!isOver && told !== null) atItsEnd(told);
  if (disk !== null) {
    if (!isOver) disk.shutDown();
    field.unmountVolume();
    await disk.remount();
    field.mountVolume();
  }
  field.daemon.restartHost();
  // What it said after its end was said by nobody.
  return isOver ? null : told;
}

/** The n-th change fails with an error, and those behind it, `many` in all; then recovery without it. */
export async function runError(agent: Agent, host: Host, n: number, code: string, many: number): Promise<CaseResult> {
  let left = many;
  return runDisturbed(agent, host, n, {
    lasting: true,
    disturb: (call) => {
      left -= 1;
      if (left >= 0) throw Object.assign(new Error(`${code}: ${call}`), { code });
    },
  });
}

export interface Disturbance {
  /** Called before the n-th change; what it throws is that call's failure. */
  readonly disturb: (call: string) => void;
  /** Also before every later one. */
  readonly lasting?: boolean;
  /** Called when the work has come to an end, before recovery. */
  readonly giveBack?: () => void;
}

/** The work meets a disturbance and ends by itself; then recovery without it. */
export async function runDisturbed(
  agent: Agent,
  { field }: Host,
  n: number,
  { disturb, lasting = false, giveBack }: Disturbance,
): Promise<CaseResult> {
  field.reset();
  agent.arm(n, disturb, lasting);
  const first = await agent.inProcess(field.environment, intentOf(field)).catch(() => null);
  agent.arm(0, () => undefined);
  giveBack?.();
  const recovered = await agent.inProcess(field.environment, null);
  const state = first?.intents[0]?.outcome.state;
  const told = state === undefined || state === 'stuck' ? recovered : first;
  const { violations, ended } = judge(field, { told });
  return { count: 1, violations, ended };
}

function intentOf(field: Field): ClaimedIntent {
  return JSON.parse(readFileSync(field.intentFile, 'utf8')) as ClaimedIntent;
}
