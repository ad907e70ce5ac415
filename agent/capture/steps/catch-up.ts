/** Catch up: what changed during the first pass and the hook is copied while the containers still run. Its undo is the copy's. */
import type { Step } from '../../restore/saga.ts';
import { passOver, takenBy, withoutCopies } from '../copies.ts';
import type { CaptureFacts } from '../facts.ts';

export const catchUp: Step<CaptureFacts, 'catch_up'> = {
  name: 'catch_up',

  async act(context) {
    if (!context.fact('copy').copied) return { caughtUp: false, taken: 0 };
    try {
      return { caughtUp: true, taken: takenBy(await passOver(context, 'catch-up')) };
    } catch (thrown) {
      withoutCopies(context, thrown);
      return { caughtUp: false, taken: 0 };
    }
  },
};
