/**
 * mutants: the harness is tested itself. A case is a mutant; its sweep runs over every point until the oracle objects, and the same fault
 * on the unchanged agent must be none for it. A mutant that nobody notices is a violation, and so is a control that somebody does.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { GuardChecks } from './ask-guards.ts';
import { GUARD_MUTANTS } from './guard-mutant-table.ts';
import { type Agent, callsOf, type Host, loadAgent, type OnHosts, runCut, runError, sweepOnHosts } from './hosts.ts';
import { CONTROL, MUTANTS, type Mutant } from './mutant-table.ts';
import { randomOf } from './random.ts';
import type { CaseResult } from './sweep.ts';

export const mutants = sweepOnHosts((on) => {
  const guards = new GuardChecks(join(on.slot.directory, 'guards'));
  return {
    async cases(count, random) {
      if (count > MUTANTS.length) return [...MUTANTS, ...GUARD_MUTANTS].map(({ name }) => name);
      // Of a few, none that takes a minute to be noticed.
      const quick = [
        ...MUTANTS.filter(({ isQuick }) => isQuick),
        ...GUARD_MUTANTS.filter(({ by }) => by === 'link'),
      ].map(({ name }) => name);
      return random.shuffle(quick).slice(0, count);
    },

    async run(name) {
      const guard = GUARD_MUTANTS.find((one) => one.name === name);
      if (guard !== undefined) return guards.run(guard);
      const mutant = MUTANTS.find((one) => one.name === name);
      if (mutant === undefined) throw new Error(`there is no mutant "${name}"`);
      const host = await on.hosts.of(mutant.on, mutant.scenario);
      const points = (await callsOf(on.agent, host)).length;
      const order = randomOf(`${on.slot.seed}/${name}`).shuffle(
        Array.from({ length: points }, (_, index) => index + 1),
      );
      const { ended } = await runCut(on.agent, host, [points + 1]);
      const faults = faultsOf(mutant, { n: points + 1, errors: null, ended }, order);
      return name === CONTROL ? tryControl(on.agent, host, faults) : tryMutant(on, mutant, host, faults);
    },
    close: () => guards.close(),
  };
});

async function tryMutant(
  { slot, agent }: OnHosts,
  mutant: Mutant,
  host: Host,
  faults: readonly Fault[],
): Promise<CaseResult> {
  const directory = join(slot.directory, `mutant-${MUTANTS.indexOf(mutant)}`);
  const changed = await loadAgent(directory, [mutant]);
  try {
    for (const fault of faults) {
      if (!(await isNoticed(changed, host, fault))) continue;
      const isFalse = await isNoticed(agent, host, fault);
      const violations = isFalse ? [`noticed at ${fault.n}, and so is the unchanged agent`] : [];
      return { count: 1, violations, ended: isFalse ? 'noticed, wrongly' : 'noticed' };
    }
    return { count: 1, violations: [`nobody notices the mutant "${mutant.name}"`], ended: 'missed' };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function tryControl(agent: Agent, host: Host, faults: readonly Fault[]): Promise<CaseResult> {
  for (const fault of faults) {
    if (!(await isNoticed(agent, host, fault))) continue;
    return { count: 1, violations: [`noticed at ${fault.n}, and it changes nothing`], ended: 'noticed, wrongly' };
  }
  return { count: 1, violations: [], ended: 'not noticed, rightly' };
}

interface Fault {
  readonly n: number;
  /** Null: everything ends there. */
  readonly errors: number | null;
  /** How it ends, where nothing befalls it. */
  readonly ended?: string | undefined;
}

/** A failure that passes, that outlasts one, three or seven tries, or that stays. */
const ERRORS = [1, 2, 4, 8, Number.POSITIVE_INFINITY];

/** First behind the end of an undisturbed run, where most are noticed. */
function faultsOf({ by }: Mutant, behind: Fault, points: readonly number[]): Fault[] {
  if (by === 'cut') return [behind, ...points.map((n) => ({ n, errors: null }))];
  return points.flatMap((n) => ERRORS.map((errors) => ({ n, errors })));
}

/** By the oracle; or because a run without any fault ends otherwise than it should. */
async function isNoticed(agent: Agent, host: Host, { n, errors, ended }: Fault): Promise<boolean> {
  try {
    const tried = errors === null ? runCut(agent, host, [n]) : runError(agent, host, n, 'EIO', errors);
    const result = await tried;
    return result.violations.length > 0 || (ended !== undefined && result.ended !== ended);
  } catch {
    // Recovery itself threw.
    return true;
  } finally {
    agent.arm(0, () => undefined);
    host.field.daemon.isDead = false;
  }
}
