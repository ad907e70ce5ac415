/** Resume: the frozen containers run again. Input: what freeze recorded. Its undo is freeze's: both bring the containers back. */
import type { Step } from '../../restore/saga.ts';
import type { CaptureFacts } from '../facts.ts';
import { thaw } from '../thaw.ts';

export const resume: Step<CaptureFacts, 'resume'> = {
  name: 'resume',

  async act(context) {
    await thaw(context);
    const { intent, fact, msSinceNote } = context;
    const frozen = intent.workload.config.capture.freeze !== 'live' && fact('freeze').frozen.length > 0;
    return { downtimeMs: frozen ? msSinceNote('freezing') : 0 };
  },
};
