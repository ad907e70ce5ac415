/**
 * kill-in-recovery: the agent is killed at a named point of a restore (one per state of the journal), and then recovery, up to three times in a
 * row, at the n-th of a system call that changes something; the recovery after that must come to the end.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import { type Field, type Scenario, someScenarios } from './field.ts';
import { Fields } from './fields.ts';
import { judge } from './oracle.ts';
import type { Random } from './random.ts';
import { runDriver } from './run-driver.ts';
import type { CaseResult, Slot, Sweep, SweepSession } from './sweep.ts';
import { injection, wasInjected } from './system-calls.ts';

/** How often recovery makes them at most, roughly: a point that it does not come to is not counted. */
const CALLS: Readonly<Record<string, number>> = {
  openat: 60,
  write: 60,
  fsync: 25,
  renameat2: 4,
  rename: 2,
  rmdir: 10,
  unlink: 40,
  mkdir: 3,
  connect: 25,
  ftruncate: 1,
};

class KillInRecoverySession implements SweepSession {
  readonly #fields: Fields;
  readonly #offsets = new Map<string, number>();

  constructor(fields: Fields) {
    this.#fields = fields;
  }

  async cases(count: number, random: Random): Promise<readonly string[]> {
    const names: string[] = [];
    for (const scenario of someScenarios(count, random)) {
      for (const point of pointsOf(await this.#traced(scenario))) {
        for (const call of Object.keys(CALLS)) {
          for (let times = 1; times <= 3; times += 1) {
            const kills = Array.from({ length: times }, () => 1 + random.below(CALLS[call] ?? 1));
            names.push(`${scenario} ${point} ${call}#${kills.join(',')}`);
          }
        }
      }
    }
    // Many do not reach their call: three times as many as are wanted.
    return random.shuffle(names).slice(0, count * 3 + 10);
  }

  async run(name: string): Promise<CaseResult> {
    const [scenario = '', at = '', kills = ''] = name.split(' ');
    const [call = '', counts = ''] = kills.split('#');
    const field = await this.#fields.of(scenario as Scenario);
    field.reset();
    const killed = await runDriver(field, ['run', field.intentFile], { environment: { REFLOAT_CRASH_AT: at } });
    await killed.orphansGone();
    let count = 0;
    for (const n of counts.split(',').map(Number)) {
      const from = await this.#beforeWork(field, call);
      const recovery = await runDriver(field, ['recover'], {
        strace: injection(`${call}#${from + n}`, 'signal=KILL', false),
        killOrphans: true,
      });
      await recovery.orphansGone();
      if (wasInjected(recovery.trace)) count = 1;
    }
    const recovered = await runDriver(field, ['recover']);
    if (recovered.code !== 0)
      return { count: 1, violations: [`recovery ended with ${recovered.code}: ${recovered.errors}`] };
    const { violations, ended } = judge(field, { told: recovered.told });
    return { count, violations, ended: count === 0 ? 'not reached' : ended };
  }

  /** Calls that the program makes before its work begins. */
  async #beforeWork(field: Field, call: string): Promise<number> {
    const known = this.#offsets.get(call);
    if (known !== undefined) return known;
    const { trace } = await runDriver(field, ['nothing'], { strace: ['-e', 'signal=none', '-e', `trace=${call}`] });
    const made = trace.split('\n').filter((line) => line.startsWith(`${call}(`)).length;
    this.#offsets.set(call, made);
    return made;
  }

  /** The named points of an undisturbed run. */
  async #traced(scenario: Scenario): Promise<string> {
    const field = await this.#fields.of(scenario);
    const file = `${field.intentFile}.points`;
    rmSync(file, { force: true });
    field.reset();
    await runDriver(field, ['run', field.intentFile], { environment: { REFLOAT_CRASH_TRACE: file } });
    return readFileSync(file, 'utf8');
  }

  async close(): Promise<void> {
    await this.#fields.close();
  }
}

function pointsOf(trace: string): string[] {
  return trace
    .trim()
    .split('\n')
    .filter((point) => !point.startsWith('deliver') && !point.includes(' '));
}

export const killInRecovery: Sweep = {
  async open(slot: Slot) {
    return new KillInRecoverySession(new Fields(slot.directory, await bundle(join(slot.directory, 'program'))));
  },
};
