/**
 * power: the host loses power before the n-th change of the disk, on ext4 and on xfs: the file system is shut down without flushing
 * its log, so that only what was synced is there when it is mounted again. The engine starts first, by its restart policies, then
 * the agent recovers; in a part of the cases the power goes again while it does.
 *
 * The agent's work runs in this process, with a point before each call that changes something (`points.ts`).
 */
import { join } from 'node:path';
import { bundle } from '../crash/bundle.ts';
import { type Scenario, someScenarios } from '../crash/field.ts';
import { type Agent, callsOf, type DiskType, Hosts, loadAgent, runCut } from '../crash/hosts.ts';
import type { Random } from '../crash/random.ts';
import type { CaseResult, Slot, Sweep, SweepSession } from '../crash/sweep.ts';

const DISKS = ['ext4', 'xfs'] as const;

class PowerSession implements SweepSession {
  readonly #hosts: Hosts;
  readonly #agent: Agent;

  constructor(hosts: Hosts, agent: Agent) {
    this.#hosts = hosts;
    this.#agent = agent;
  }

  async cases(count: number, random: Random): Promise<readonly string[]> {
    const plain: string[] = [];
    const twice: string[] = [];
    const disks = count >= 100 ? DISKS : [random.pick(DISKS)];
    for (const disk of disks) {
      for (const scenario of someScenarios(count, random)) {
        const points = (await callsOf(this.#agent, await this.#hosts.of(disk, scenario))).length;
        for (let n = 1; n <= points + 1; n += 1) {
          plain.push(`${disk} ${scenario} ${n}`);
          for (let again = 0; again < 4; again += 1) twice.push(`${disk} ${scenario} ${n},${1 + random.below(60)}`);
        }
      }
    }
    const first = random.shuffle(plain).slice(0, Math.ceil(count * 0.7));
    return random.shuffle([...first, ...random.shuffle(twice).slice(0, count - first.length + 10)]);
  }

  async run(name: string): Promise<CaseResult> {
    const [disk = '', scenario = '', cuts = ''] = name.split(' ');
    const host = await this.#hosts.of(disk as DiskType, scenario as Scenario);
    return runCut(this.#agent, host, cuts.split(',').map(Number));
  }

  async close(): Promise<void> {
    await this.#hosts.close();
  }
}

export const power: Sweep = {
  async open(slot: Slot) {
    const hosts = new Hosts(slot.directory, await bundle(join(slot.directory, 'program')));
    return new PowerSession(hosts, await loadAgent(join(slot.directory, 'in-process')));
  },
};
