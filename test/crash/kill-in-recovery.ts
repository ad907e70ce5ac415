/**
 * kill-in-recovery: the agent ends right behind one of the syncs of a restore (so from every state of the journal), and then recovery
 * is killed, up to three times in a row, at the n-th of a system call that changes something; the recovery after that must come to the end.
 */
import type { Field } from './field.ts';
import { callsOf, type OnHosts, stopAt, sweepOnHosts } from './hosts.ts';
import { recoverAndJudge } from './injected.ts';
import { type Random, randomOf } from './random.ts';
import { runDriver } from './run-driver.ts';
import { type Scenario, someScenarios } from './scenarios.ts';
import { type CallCount, countCalls, injection, wasInjected } from './system-calls.ts';

const CASES_PER_STATE = 5;
const KILLS_AT_MOST = 3;
/** Cases to spare: what a recovery does after one that was killed is less, and some kills are not reached. */
const SPARE = 1.5;

export const killInRecovery = sweepOnHosts(
  (on) => {
    const counted = new Map<string, readonly CallCount[]>();
    return {
      async cases(count, random) {
        const states: string[] = [];
        for (const scenario of someScenarios(count, random)) {
          const calls = await callsOf(on.agent, await on.hosts.of('tmpfs', scenario));
          calls.forEach((call, index) => {
            // The change behind a sync does not happen any more.
            if (call === 'fsync') states.push(`${scenario} ${index + 2}`);
          });
        }
        const chosen = random.shuffle(states).slice(0, Math.ceil((count * SPARE) / CASES_PER_STATE));
        const many = Math.ceil((count * SPARE) / Math.max(1, chosen.length));
        return random.shuffle(
          chosen.flatMap((state) =>
            Array.from({ length: many }, (_, index) => `${state} ${1 + (index % KILLS_AT_MOST)}/${index}`),
          ),
        );
      },

      async run(name) {
        const [scenario = '', n = '', kills = ''] = name.split(' ');
        const host = await on.hosts.of('tmpfs', scenario as Scenario);
        const { field } = host;
        const state = `${scenario} ${n}`;
        const made = counted.get(state) ?? (await countRecovery(on, scenario as Scenario, Number(n)));
        counted.set(state, made);
        const random = randomOf(`${on.slot.seed}/${name}`);
        await stopAt(on.agent, host, Number(n));
        let count = 0;
        for (let kill = 0; kill < Number.parseInt(kills, 10); kill += 1)
          if (await killRecovery(field, pickCall(made, random))) count = 1;
        const { violations, ended } = await recoverAndJudge(on, scenario as Scenario, { booted: true });
        return { count, violations, ended: count === 0 ? 'not reached' : ended };
      },
    };
  },
  { startsDriver: true },
);

async function countRecovery({ hosts, agent }: OnHosts, scenario: Scenario, n: number): Promise<CallCount[]> {
  const host = await hosts.of('tmpfs', scenario);
  await stopAt(agent, host, n);
  return countCalls(host.field, ['recover']);
}

/** The rare calls as often as the many. */
function pickCall(made: readonly CallCount[], random: Random): string {
  const { call, agent } = random.pick(made.filter(({ agent: { from, to } }) => to > from));
  return `${call}#${agent.from + 1 + random.below(agent.to - agent.from)}`;
}

/** True if it was reached. */
async function killRecovery(field: Field, point: string): Promise<boolean> {
  const recovery = await runDriver(field, ['recover'], {
    strace: injection(point, 'signal=KILL', false),
    killOrphans: true,
  });
  await recovery.orphansGone();
  return wasInjected(recovery.trace);
}
