/**
 * Redeploy: the workload runs again on the image that it ran before. Here the downtime ends.
 * Input: the containers as recorded, the pinned image, and the exchanges, which are durable before anything starts.
 * Undo stops what it started and brings back what it replaced.
 */
import { allToTheEnd } from '../../deploy/container-error.ts';
import { resume } from '../../deploy/quiesce.ts';
import { redeploy as startAgain, undoRedeploy } from '../../deploy/redeploy.ts';
import type { RedeployInput } from '../../deploy/types.ts';
import { syncExchanges } from '../exchange.ts';
import type { RestoreFacts } from '../facts.ts';
import type { Step, StepContext } from '../saga.ts';
import { stopAll, warnOfGone } from './quiesce.ts';

export const redeploy: Step<RestoreFacts, 'redeploy'> = {
  name: 'redeploy',
  downtime: 'ends',

  async act(context) {
    const { deps, intent, lock, fact, warn } = context;
    syncExchanges(fact('exchanges'));
    // To the end: what is still being started must not come up beside the unwinding.
    const [started, { gone }] = await allToTheEnd([
      startAgain(deps, lock, redeployInput(context)),
      resume(deps.engine, fact('others'), intent.workload.config),
    ]);
    warnOfGone(gone, warn);
    return { ...started, downtimeMs: context.msSinceNote('stopping') };
  },

  async undo(context) {
    await undoRedeploy(context.deps, context.lock, redeployInput(context));
    await stopAll(context);
  },
};

/** What the deployer needs, all of it from the journal, so that a crash in between changes nothing. */
export function redeployInput({ intent, fact }: StepContext<RestoreFacts>): RedeployInput {
  const { hostPaths, image, imageId } = fact('preflight');
  return {
    workload: intent.workload,
    before: fact('containers'),
    image,
    imageId,
    intentId: intent.id,
    hostPaths: new Map(Object.entries(hostPaths)),
  };
}
