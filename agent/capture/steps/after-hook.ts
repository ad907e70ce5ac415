/** After hook: `hooks.afterCapture` in the container of the before hook. The snapshot is complete by then, so a failure is a warning. */
import type { Step } from '../../restore/saga.ts';
import type { CaptureFacts } from '../facts.ts';
import { runHook } from '../hook.ts';

export const afterHook: Step<CaptureFacts, 'after_hook'> = {
  name: 'after_hook',
  onFailure: 'warn',

  async act({ deps, intent, factOrNull }) {
    const { afterCapture } = intent.workload.config.hooks;
    const container = factOrNull('hookContainer');
    if (afterCapture === undefined || container === null) return { ran: false };
    await runHook(deps, 'afterCapture', container, afterCapture);
    return { ran: true };
  },
};
