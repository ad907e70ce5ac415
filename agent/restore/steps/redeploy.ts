/**
 * Redeploy: the workload runs again on the image that it ran before. Here the downtime ends.
 * Input: the containers as recorded and the pinned image. Undo stops what it started and brings back what it replaced.
 */
import { type RedeployInput, redeploy as startAgain, undoRedeploy } from '../../deploy/redeploy.ts';
import type { RestoreFacts } from '../facts.ts';
import type { Step, StepContext } from '../saga.ts';

export const redeploy: Step<RestoreFacts, 'redeploy'> = {
  name: 'redeploy',

  async act(context) {
    const { deps, lock, fact } = context;
    const { containers, recreated } = await startAgain(deps, lock, redeployInput(context));
    return { containers, recreated, downtimeMs: deps.now().getTime() - Date.parse(fact('stopping')) };
  },

  async undo(context) {
    await undoRedeploy(context.deps, context.lock, redeployInput(context));
  },
};

/** What the deployer needs, all of it from the journal, so that a crash in between changes nothing. */
export function redeployInput({ intent, fact }: StepContext<RestoreFacts>): RedeployInput {
  const { targets, imageId } = fact('preflight');
  return {
    workload: intent.workload,
    before: fact('containers'),
    imageId,
    intentId: intent.id,
    hostPaths: new Map(targets.map((target) => [target.volume, target.live])),
  };
}
