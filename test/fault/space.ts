/**
 * space: a small disk fills up in the middle of a restore: somebody else takes all but so many blocks, or all but so many inodes, before
 * the n-th change. The restore comes to an end by itself and tells the truth; what was taken is given back, and recovery leaves nothing
 * undone.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { callsOf, type Host, runDisturbed, sweepOnHosts } from '../crash/hosts.ts';
import { type Scenario, someScenarios } from '../crash/scenarios.ts';

const LEVELS = 40;
const BYTES_PER_LEVEL = 8192;
const INODES_PER_LEVEL = 2;

export const space = sweepOnHosts(({ hosts, agent }) => ({
  async cases(count, random) {
    const names: string[] = [];
    for (const scenario of someScenarios(count, random)) {
      const points = (await callsOf(agent, await hosts.of('small', scenario))).length;
      for (const what of ['blocks', 'inodes'])
        for (let level = 0; level < LEVELS; level += 1)
          names.push(`${scenario} ${what} ${level} ${1 + random.below(points)}`);
    }
    return random.shuffle(names).slice(0, Math.max(count, 1));
  },

  async run(name) {
    const [scenario = '', what, level = '0', n = '1'] = name.split(' ');
    const host = await hosts.of('small', scenario as Scenario);
    const taken = join(host.disk?.path ?? '', 'taken');
    const take = what === 'blocks' ? takeBlocks : takeInodes;
    return runDisturbed(agent, host, Number(n), {
      disturb: () => take(host, taken, Number(level)),
      giveBack: () => rmSync(taken, { recursive: true, force: true }),
    });
  },
}));

function takeBlocks(host: Host, taken: string, level: number): void {
  const { bavail, bsize } = statfsSync(host.field.hostRoot);
  const bytes = bavail * bsize - level * BYTES_PER_LEVEL;
  mkdirSync(taken);
  if (bytes > 0) execFileSync('fallocate', ['-l', String(bytes), join(taken, 'blocks')]);
}

function takeInodes(host: Host, taken: string, level: number): void {
  mkdirSync(taken);
  const inodes = statfsSync(host.field.hostRoot).ffree - level * INODES_PER_LEVEL;
  for (let index = 0; index < inodes; index += 1) writeFileSync(join(taken, String(index)), '');
}
