/**
 * Cleanup: set-aside containers go, the previous trees are held until the undo window ends (hold.ts removes them then).
 * Input: all facts. What an undo adopted from another intent belongs to this one from now on.
 */
import { toRefloatError } from '../../../db/errors.ts';
import { finishRedeploy } from '../../deploy/redeploy.ts';
import { withRetries } from '../../with-retries.ts';
import type { RestoreFacts } from '../facts.ts';
import { markReleased } from '../hold.ts';
import type { Step } from '../saga.ts';
import { redeployInput } from './redeploy.ts';

/** An engine that fails in passing is no reason to leave containers behind. */
const TRIES = 4;

export const cleanup: Step<RestoreFacts, 'cleanup'> = {
  name: 'cleanup',
  onFailure: 'warn',

  async act(context) {
    const { deps, intent, lock, fact, factOrNull } = context;
    // Whatever comes of the containers, the previous trees must be in the result: nothing else knows of them.
    const finish = () => finishRedeploy(deps, lock, redeployInput(context));
    await withRetries(finish, context.signal, TRIES).catch((thrown: unknown) => {
      context.warn(`the replaced containers stay until the agent starts again: ${toRefloatError(thrown).message}`);
    });
    const { targets, adoptedFrom } = fact('preflight');
    try {
      if (adoptedFrom !== null) markReleased(deps, adoptedFrom, 'adopted', intent.id);
    } catch (thrown) {
      context.warn(`the undone intent still names the trees as its own: ${toRefloatError(thrown).message}`);
    }
    return {
      held: targets.map(({ volume, live, staging }) => ({ volume, live, previous: staging })),
      undoUntil:
        factOrNull('undoUntil') ?? new Date(deps.now().getTime() + deps.config.undoWindowSeconds * 1000).toISOString(),
    };
  },
};
