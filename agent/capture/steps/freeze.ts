/**
 * Freeze: the workload's containers stand still, by the mode that its configuration chose. Input: the workload. What ran,
 * and with which restart policy, is durable before the first container is touched. Undo brings everything back, unless
 * `resume` has done so already; it comes before the other undos, since a capture changes no data that they would have to put right.
 */
import { assertStopped, disableRestarts, recordContainers, stopAll } from '../../deploy/quiesce.ts';
import type { Step } from '../../restore/saga.ts';
import type { CaptureFacts } from '../facts.ts';
import { thaw } from '../thaw.ts';

export const freeze: Step<CaptureFacts, 'freeze'> = {
  name: 'freeze',
  undoResumes: 'workload',

  async act({ deps, intent, fact, factOrNull, note }) {
    const { capture, stopTimeoutSeconds } = intent.workload.config;
    // A second run must not record what the first one has frozen already.
    if (factOrNull('containers') === null)
      note('containers', await recordContainers(deps.engine, intent.workload.id, fact('preflight').adopted));
    const running = fact('containers').filter((container) => container.active && container.state !== 'paused');
    if (capture.freeze === 'stop') await disableRestarts(deps.engine, running);
    if (factOrNull('freezing') === null) note('freezing', deps.now().toISOString());
    switch (capture.freeze) {
      case 'stop':
        await stopAll(deps.engine, running, stopTimeoutSeconds);
        await assertStopped(deps.engine, running);
        break;
      case 'pause':
        for (const container of running) await deps.engine.pause(container.id);
        break;
      case 'live':
        break;
      default:
        capture.freeze satisfies never;
    }
    return { mode: capture.freeze, frozen: running.map((container) => container.name) };
  },

  async undo(context) {
    if (context.factOrNull('resume') === null) await thaw(context);
  },
};
