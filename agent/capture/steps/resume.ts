/** Resume: the frozen containers run again. Input: what freeze recorded. Its undo is freeze's: both bring the containers back. */
import type { Step } from '../../restore/saga.ts';
import type { CaptureFacts } from '../facts.ts';
import { standStill, thaw } from '../thaw.ts';

export const resume: Step<CaptureFacts, 'resume'> = {
  name: 'resume',

  async act(context) {
    await thaw(context);
    return { downtimeMs: standStill(context) ? context.msSinceNote('freezing') : 0 };
  },
};
