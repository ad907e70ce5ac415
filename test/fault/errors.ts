/**
 * errors: the n-th call of each system call fails, once (`#N`) or from then on (`#N+`), in every scenario; the run ends by itself and
 * tells the truth, and recovery without the fault leaves nothing undone.
 *
 * `agent`: in the agent's main thread, where all its file system calls are made. `any`: in every process and thread, the archive
 * child included, each of which counts for itself.
 */
import { join } from 'node:path';
import { bundle } from '../crash/bundle.ts';
import { type Field, type Scenario, someScenarios } from '../crash/field.ts';
import { Fields } from '../crash/fields.ts';
import { judge } from '../crash/oracle.ts';
import type { Random } from '../crash/random.ts';
import { type DriverEnd, runDriver } from '../crash/run-driver.ts';
import type { CaseResult, Slot, Sweep, SweepSession } from '../crash/sweep.ts';
import { choose, countCalls, injection, wasInjected } from '../crash/system-calls.ts';
import type { Told } from '../crash/work.ts';

const ERRORS = ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE', 'EACCES', 'EBUSY', 'EXDEV'] as const;
const WHO = ['agent', 'any'] as const;

class ErrorsSession implements SweepSession {
  readonly #fields: Fields;

  constructor(fields: Fields) {
    this.#fields = fields;
  }

  async cases(count: number, random: Random): Promise<readonly string[]> {
    const points: string[] = [];
    for (const scenario of someScenarios(count, random)) {
      const field = await this.#fields.of(scenario);
      for (const { call, agent, any } of await countCalls(field, ['run', field.intentFile])) {
        for (const who of WHO) {
          const { from, to } = who === 'any' ? any : agent;
          for (let n = from + 1; n <= to; n += 1)
            for (const lasting of ['', '+'])
              for (const error of ERRORS) points.push(`${scenario} ${call}#${n}${lasting} ${error} ${who}`);
        }
      }
    }
    return choose(points, count, random);
  }

  async run(name: string): Promise<CaseResult> {
    const [scenario = '', point = '', error = '', who] = name.split(' ');
    const field = await this.#fields.of(scenario as Scenario);
    field.reset();
    const ended = await runDriver(field, ['run', field.intentFile], {
      strace: injection(point, `error=${error}`, who === 'any'),
      mayHang: /^write/.test(point),
    });
    if (!wasInjected(ended.trace)) return { count: 0, violations: [], ended: 'not reached' };
    const stuckThen = stuckViolation(field, ended);
    const recovered = await runDriver(field, ['recover']);
    await ended.orphansGone();
    if (recovered.code !== 0)
      return { count: 1, violations: [`recovery ended with ${recovered.code}: ${recovered.errors}`] };
    const { violations, ended: how } = judge(field, { told: saidLast(ended, recovered) });
    return {
      count: 1,
      violations: [...stuckThen, ...violations],
      ended: ended.signal === null ? how : `${how} (died)`,
    };
  }

  async close(): Promise<void> {
    await this.#fields.close();
  }
}

/** What was said of the intent and stays true: an outcome is final, unless it is `stuck`. */
function saidLast(ended: DriverEnd, recovered: DriverEnd): Told | null {
  const state = ended.told?.intents[0]?.outcome.state;
  return state === undefined || state === 'stuck' ? recovered.told : ended.told;
}

/** While the cause lasts it may be stuck; then nothing is deleted. */
function stuckViolation(field: Field, { told }: DriverEnd): readonly string[] {
  if (told?.intents[0]?.outcome.state !== 'stuck') return [];
  return judge(field, { told, isStuck: true }).violations;
}

export const errors: Sweep = {
  async open(slot: Slot) {
    return new ErrorsSession(new Fields(slot.directory, await bundle(join(slot.directory, 'program'))));
  },
};
