/**
 * kill: SIGKILL at the n-th call of each system call that changes something, in every scenario, then recovery.
 *
 * `agent`: the call is one of the agent's main thread, where all its file system calls are made; its archive child is an orphan then,
 * or dies with it (`group`). `any`: the n-th call of whichever process or thread makes it first, the archive child included, whose
 * death the agent survives. `+boot`: the host starts again, and restart policies act before the agent does.
 */

import { sweepOnHosts } from './hosts.ts';
import { casesOfCalls, recoverAndJudge } from './injected.ts';
import { runDriver } from './run-driver.ts';
import type { Scenario } from './scenarios.ts';
import { injection, wasInjected } from './system-calls.ts';

export const kill = sweepOnHosts(
  (on) => ({
    cases: (count, random) =>
      casesOfCalls(on, count, random, (point, whose) =>
        (whose === 'agent' ? ['agent', 'group'] : ['any']).flatMap((who) =>
          ['', '+boot'].map((boot) => `${point} ${who}${boot}`),
        ),
      ),

    async run(name) {
      const [scenario = '', point = '', how = ''] = name.split(' ');
      const [who, boot] = how.split('+');
      const { field } = await on.hosts.of('tmpfs', scenario as Scenario);
      field.reset();
      const killed = await runDriver(field, ['run', field.intentFile], {
        strace: injection(point, 'signal=KILL', who === 'any'),
        killOrphans: who === 'group',
      });
      if (boot !== undefined) field.daemon.restartHost();
      const { violations, ended } = await recoverAndJudge(on, scenario as Scenario, { booted: boot !== undefined });
      await killed.orphansGone();
      if (!wasInjected(killed.trace)) return { count: 0, violations, ended: 'not reached' };
      return { count: 1, violations, ended: killed.signal === null ? `${ended} (archive child killed)` : ended };
    },
  }),
  { startsDriver: true },
);
