/**
 * power: the host loses power before the n-th change of the disk, on ext4 and on xfs: the file system is shut down without flushing
 * its log, so that only what was synced is there when it is mounted again. The engine starts first, by its restart policies, then
 * the agent recovers; in a part of the cases the power goes again while it does.
 *
 * The agent's work runs in this process, with a point before each call that changes something (`points.ts`).
 */
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ClaimedIntent } from '../../agent/intents/claimed-intent.ts';
import { bundle, type Change } from '../crash/bundle.ts';
import { Field, type Scenario, someScenarios } from '../crash/field.ts';
import type * as InProcess from '../crash/in-process.ts';
import { judge } from '../crash/oracle.ts';
import type { Random } from '../crash/random.ts';
import type { CaseResult, Slot, Sweep, SweepSession } from '../crash/sweep.ts';
import type { Told } from '../crash/work.ts';
import { type LoopFileSystem, mountLoop } from '../helpers/loop-fs.ts';

const TYPES = ['ext4', 'xfs'] as const;
type FileSystem = (typeof TYPES)[number];
const IMAGE_BYTES = 400 * 1024 * 1024;

interface Place {
  readonly field: Field;
  readonly disk: LoopFileSystem;
}

class PowerSession implements SweepSession {
  readonly #slot: Slot;
  readonly #program: string;
  readonly #agent: typeof InProcess;
  readonly #places = new Map<string, Place>();

  constructor(slot: Slot, program: string, agent: typeof InProcess) {
    this.#slot = slot;
    this.#program = program;
    this.#agent = agent;
  }

  async cases(count: number, random: Random): Promise<readonly string[]> {
    const plain: string[] = [];
    const twice: string[] = [];
    const types = count >= 100 ? TYPES : [random.pick(TYPES)];
    for (const type of types) {
      for (const scenario of someScenarios(count, random)) {
        const { field } = await this.#place(type, scenario);
        field.reset();
        this.#agent.arm(0, () => undefined);
        await this.#agent.inProcess(field.environment, this.#intent(field));
        const points = this.#agent.callsSoFar().length;
        for (let n = 1; n <= points + 1; n += 1) {
          plain.push(`${type} ${scenario} ${n}`);
          for (let again = 0; again < 4; again += 1) twice.push(`${type} ${scenario} ${n},${1 + random.below(60)}`);
        }
      }
    }
    const first = random.shuffle(plain).slice(0, Math.ceil(count * 0.7));
    return random.shuffle([...first, ...random.shuffle(twice).slice(0, count - first.length + 10)]);
  }

  async run(name: string): Promise<CaseResult> {
    const [type = '', scenario = '', cuts = ''] = name.split(' ');
    const { field, disk } = await this.#place(type as FileSystem, scenario as Scenario);
    field.reset();
    let told: Told | null = null;
    for (const [index, n] of cuts.split(',').map(Number).entries()) {
      told = await this.#until(n, field, disk, index === 0 ? this.#intent(field) : null);
    }
    this.#agent.arm(0, () => undefined);
    const recovered = await this.#agent.inProcess(field.environment, null);
    const { violations, ended } = judge(field, { told: told ?? recovered, booted: true });
    return { count: 1, violations, ended };
  }

  /** Works until the power goes before the n-th change, or, if there are fewer, right behind the end. */
  async #until(n: number, field: Field, disk: LoopFileSystem, intent: ClaimedIntent | null): Promise<Told | null> {
    let isDown = false;
    this.#agent.arm(n, () => {
      isDown = true;
      disk.shutDown();
      field.daemon.isDead = true;
      throw Object.assign(new Error('the power is gone'), { code: 'EIO' });
    });
    const told = await this.#agent.inProcess(field.environment, intent).catch((error: unknown) => {
      if (!isDown) throw error;
      return null;
    });
    if (!isDown) disk.shutDown();
    this.#agent.arm(0, () => undefined);
    field.unmountVolume();
    disk.remount();
    field.mountVolume();
    field.daemon.restartHost();
    // What it said after the power had gone was said by nobody.
    return isDown ? null : told;
  }

  #intent(field: Field): ClaimedIntent {
    return JSON.parse(readFileSync(field.intentFile, 'utf8')) as ClaimedIntent;
  }

  async #place(type: FileSystem, scenario: Scenario): Promise<Place> {
    const key = `${type} ${scenario}`;
    const made = this.#places.get(key);
    if (made !== undefined) return made;
    const directory = join(this.#slot.directory, key.replace(' ', '-'));
    await mkdir(directory, { recursive: true });
    const disk = mountLoop(type, IMAGE_BYTES, { folder: directory });
    const hostRoot = join(disk.path, 'host');
    const field = await Field.open({ scenario, directory, hostRoot, program: this.#program });
    const place = { field, disk };
    this.#places.set(key, place);
    return place;
  }

  async close(): Promise<void> {
    for (const { field, disk } of this.#places.values()) {
      await field.close();
      disk.unmount();
    }
  }
}

export async function openPower(slot: Slot, changes: readonly Change[] = []): Promise<SweepSession> {
  const program = await bundle(join(slot.directory, 'program'));
  const agent = await bundle(join(slot.directory, 'in-process'), {
    entry: 'test/crash/in-process.ts',
    changes,
    instead: { 'node:fs': 'test/crash/fs-points.ts', koffi: 'test/crash/koffi-points.ts' },
  });
  return new PowerSession(slot, program, (await import(pathToFileURL(agent).href)) as typeof InProcess);
}

export const power: Sweep = { open: async (slot: Slot) => openPower(slot) };
