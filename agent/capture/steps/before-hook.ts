/**
 * Before hook: `hooks.beforeCapture` in the newest running container. Input: the configuration. A workload of which nothing
 * runs needs none. Undo runs the other hook, which is its counterpart.
 */
import { toRefloatError } from '../../../db/errors.ts';
import { recordContainers } from '../../deploy/quiesce.ts';
import type { Step } from '../../restore/saga.ts';
import type { CaptureFacts } from '../facts.ts';
import { newestRunning, runHook } from '../hook.ts';

export const beforeHook: Step<CaptureFacts, 'before_hook'> = {
  name: 'before_hook',

  async act({ deps, intent, fact, note, warn }) {
    const { beforeCapture, afterCapture } = intent.workload.config.hooks;
    if (beforeCapture === undefined && afterCapture === undefined) return { ran: false };
    const container = newestRunning(await recordContainers(deps.engine, intent.workload.id, fact('preflight').adopted));
    note('hookContainer', container === null ? null : { id: container.id, name: container.name });
    if (container === null) {
      warn('no container of the workload runs, so its hooks were left out');
      return { ran: false };
    }
    if (beforeCapture === undefined) return { ran: false };
    await runHook(deps, 'beforeCapture', container, beforeCapture);
    return { ran: true };
  },

  async undo({ deps, intent, factOrNull, warn }) {
    const container = factOrNull('hookContainer');
    const { afterCapture } = intent.workload.config.hooks;
    if (container === null || afterCapture === undefined || factOrNull('after_hook')?.ran === true) return;
    try {
      await runHook(deps, 'afterCapture', container, afterCapture);
    } catch (thrown) {
      // The containers run again as before; a hook that fails is no reason to call a person to the host.
      warn(toRefloatError(thrown).message);
    }
  },
};
