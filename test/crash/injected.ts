/**
 * What the sweeps share that start the driver under `strace`: their cases, one or more for each system call that a run makes, and
 * recovery without a fault, which runs in this process.
 */

import type { OnHosts } from './hosts.ts';
import { judge, type Verdict } from './oracle.ts';
import type { Random } from './random.ts';
import { type Scenario, someScenarios } from './scenarios.ts';
import { choose, countCalls } from './system-calls.ts';
import type { Told } from './work.ts';

/** Whose calls: those of the agent's main thread, or those of whichever process or thread makes most. */
export type Whose = 'agent' | 'any';

/** @param namesOf what to try at a point (`SCENARIO CALL#N`) */
export async function casesOfCalls(
  { hosts }: OnHosts,
  count: number,
  random: Random,
  namesOf: (point: string, whose: Whose) => readonly string[],
): Promise<readonly string[]> {
  const names: string[] = [];
  for (const scenario of someScenarios(count, random)) {
    const { field } = await hosts.of('tmpfs', scenario);
    field.reset();
    for (const { call, agent, any } of await countCalls(field, ['run', field.intentFile])) {
      for (const [whose, { from, to }] of [['agent', agent] as const, ['any', any] as const])
        for (let n = from + 1; n <= to; n += 1) names.push(...namesOf(`${scenario} ${call}#${n}`, whose));
    }
  }
  return choose(names, count, random);
}

/**
 * Recovers without a fault and asks the oracle.
 * @param said what the disturbed run said and stays true: an outcome is final, unless it is `stuck`
 */
export async function recoverAndJudge(
  { hosts, agent }: OnHosts,
  scenario: Scenario,
  { said = null, booted = false }: { readonly said?: Told | null; readonly booted?: boolean } = {},
): Promise<Verdict> {
  const { field } = await hosts.of('tmpfs', scenario);
  const recovered = await agent.inProcess(field.environment, null);
  const state = said?.intents[0]?.outcome.state;
  return judge(field, { told: state === undefined || state === 'stuck' ? recovered : said, booted });
}
