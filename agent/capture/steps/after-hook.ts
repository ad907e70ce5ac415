/**
 * After hook: `hooks.afterCapture` in the container of the before hook, as soon as the containers run again. One that fails
 * ends the capture: what was taken may not be what the hook was to close.
 */
import type { Step } from '../../restore/saga.ts';
import type { CaptureFacts } from '../facts.ts';
import { runHook } from '../hook.ts';

export const afterHook: Step<CaptureFacts, 'after_hook'> = {
  name: 'after_hook',

  async act({ deps, intent, factOrNull }) {
    const { afterCapture } = intent.workload.config.hooks;
    const container = factOrNull('hookContainer');
    if (afterCapture === undefined || container === null) return { ran: false };
    await runHook(deps, 'afterCapture', container, afterCapture);
    return { ran: true };
  },
};
