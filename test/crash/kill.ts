/**
 * kill: SIGKILL at the n-th call of each system call that changes something, in every scenario, then recovery.
 *
 * `agent`: the call is one of the agent's main thread, where all its file system calls are made; its archive child is an orphan then,
 * or dies with it (`group`). `any`: the n-th call of whichever process or thread makes it first, the archive child included, whose
 * death the agent survives. `+boot`: the host starts again, and restart policies act before the agent does.
 */
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import { type Scenario, someScenarios } from './field.ts';
import { Fields } from './fields.ts';
import { judge } from './oracle.ts';
import type { Random } from './random.ts';
import { runDriver } from './run-driver.ts';
import type { CaseResult, Slot, Sweep, SweepSession } from './sweep.ts';
import { choose, countCalls, injection, wasInjected } from './system-calls.ts';

const WHO = ['agent', 'group', 'any'] as const;

class KillSession implements SweepSession {
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
            for (const boot of ['', '+boot']) points.push(`${scenario} ${call}#${n} ${who}${boot}`);
        }
      }
    }
    return choose(points, count, random);
  }

  async run(name: string): Promise<CaseResult> {
    const [scenario = '', point = '', how = ''] = name.split(' ');
    const [who, boot] = how.split('+');
    const field = await this.#fields.of(scenario as Scenario);
    field.reset();
    const killed = await runDriver(field, ['run', field.intentFile], {
      strace: injection(point, 'signal=KILL', who === 'any'),
      killOrphans: who === 'group',
    });
    if (boot !== undefined) field.daemon.restartHost();
    const recovered = await runDriver(field, ['recover']);
    await killed.orphansGone();
    if (recovered.code !== 0)
      return { count: 1, violations: [`recovery ended with ${recovered.code}: ${recovered.errors}`] };
    const { violations, ended } = judge(field, { told: recovered.told, booted: boot !== undefined });
    if (!wasInjected(killed.trace)) return { count: 0, violations, ended: 'not reached' };
    return { count: 1, violations, ended: killed.signal === null ? `${ended} (archive child killed)` : ended };
  }

  async close(): Promise<void> {
    await this.#fields.close();
  }
}

export const kill: Sweep = {
  async open(slot: Slot) {
    return new KillSession(new Fields(slot.directory, await bundle(join(slot.directory, 'program'))));
  },
};
