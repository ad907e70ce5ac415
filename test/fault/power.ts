/**
 * power: the host loses power before the n-th change of the disk, on ext4 and on xfs: the file system is shut down without flushing
 * its log, so that only what was synced is there when it is mounted again. The engine starts first, by its restart policies, then
 * the agent recovers; in a part of the cases the power goes again while it does.
 *
 * The agent's work runs in this process, with a point before each call that changes something (`points.ts`).
 */

import { callsOf, type DiskType, runCut, sweepOnHosts } from '../crash/hosts.ts';
import { type Scenario, someScenarios } from '../crash/scenarios.ts';

const DISKS = ['ext4', 'xfs'] as const;

export const power = sweepOnHosts(({ hosts, agent }) => ({
  async cases(count, random) {
    const plain: string[] = [];
    const twice: string[] = [];
    const disks = count >= 100 ? DISKS : [random.pick(DISKS)];
    for (const disk of disks) {
      for (const scenario of someScenarios(count, random)) {
        const points = (await callsOf(agent, await hosts.of(disk, scenario))).length;
        for (let n = 1; n <= points + 1; n += 1) {
          plain.push(`${disk} ${scenario} ${n}`);
          for (let again = 0; again < 4; again += 1) twice.push(`${disk} ${scenario} ${n},${1 + random.below(60)}`);
        }
      }
    }
    const first = random.shuffle(plain).slice(0, Math.ceil(count * 0.7));
    return random.shuffle([...first, ...random.shuffle(twice).slice(0, count - first.length + 10)]);
  },

  async run(name) {
    const [disk = '', scenario = '', cuts = ''] = name.split(' ');
    const host = await hosts.of(disk as DiskType, scenario as Scenario);
    return runCut(agent, host, cuts.split(',').map(Number));
  },
}));
