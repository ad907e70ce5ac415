/**
 * mutants: the harness is tested itself. A case is a mutant; its sweep runs over every point, in an order by the seed, until the oracle
 * objects. A mutant that nobody notices is a violation.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import { type Agent, callsOf, type Host, Hosts, loadAgent, runCut, runError } from './hosts.ts';
import { CONTROL, MUTANTS, type Mutant } from './mutant-table.ts';
import { type Random, randomOf } from './random.ts';
import type { CaseResult, Slot, Sweep, SweepSession } from './sweep.ts';

class MutantsSession implements SweepSession {
  readonly #slot: Slot;
  readonly #hosts: Hosts;
  readonly #unchanged: Agent;

  constructor(slot: Slot, hosts: Hosts, unchanged: Agent) {
    this.#slot = slot;
    this.#hosts = hosts;
    this.#unchanged = unchanged;
  }

  async cases(count: number, random: Random): Promise<readonly string[]> {
    const names = MUTANTS.map(({ name }) => name);
    return count >= names.length ? names : random.shuffle(names).slice(0, count);
  }

  async run(name: string): Promise<CaseResult> {
    const mutant = MUTANTS.find((one) => one.name === name);
    if (mutant === undefined) throw new Error(`there is no mutant "${name}"`);
    const host = await this.#hosts.of(mutant.on, mutant.scenario);
    const points = await callsOf(this.#unchanged, host);
    const directory = join(this.#slot.directory, `mutant-${MUTANTS.indexOf(mutant)}`);
    const agent = await loadAgent(directory, [mutant]);
    const random = randomOf(`${this.#slot.seed}/${name}`);
    const order = random.shuffle(points.map((_, index) => index + 1));
    try {
      for (const n of [points.length + 1, ...order]) {
        if (!(await this.#isNoticed(mutant, agent, host, n, random))) continue;
        const violations = name === CONTROL ? [`noticed at ${n}, and it changes nothing`] : [];
        return { count: 1, violations, ended: 'noticed' };
      }
      if (name === CONTROL) return { count: 1, violations: [], ended: 'not noticed, rightly' };
      return { count: 1, violations: [`nobody notices the mutant "${name}"`], ended: 'missed' };
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  async #isNoticed(mutant: Mutant, agent: Agent, host: Host, n: number, random: Random): Promise<boolean> {
    try {
      if (mutant.by === 'cut') return (await runCut(agent, host, [n])).violations.length > 0;
      const lasting = random.below(2) === 1;
      const result = await runError(agent, host, n, 'EIO', lasting);
      return result.violations.length > 0 || (await runError(agent, host, n, 'EIO', !lasting)).violations.length > 0;
    } catch {
      // Recovery itself threw.
      return true;
    } finally {
      agent.arm(0, () => undefined);
      host.field.daemon.isDead = false;
    }
  }

  async close(): Promise<void> {
    await this.#hosts.close();
  }
}

export const mutants: Sweep = {
  async open(slot: Slot) {
    const hosts = new Hosts(slot.directory, await bundle(join(slot.directory, 'program')));
    return new MutantsSession(slot, hosts, await loadAgent(join(slot.directory, 'in-process')));
  },
};
