/** Brings back what `freeze` put to rest: the same containers, with the restart policies that they had. May be repeated. */
import { resume, stopAll } from '../deploy/quiesce.ts';
import type { StepContext } from '../restore/saga.ts';
import type { CaptureFacts } from './facts.ts';

/** Names the containers that are gone meanwhile as warnings; whoever removed them did not want them back. */
export async function thaw({ deps, intent, factOrNull, warn }: StepContext<CaptureFacts>): Promise<void> {
  const containers = factOrNull('containers') ?? [];
  const running = containers.filter((container) => container.active && container.state !== 'paused');
  switch (intent.workload.config.capture.freeze) {
    case 'stop': {
      // One that is still being stopped looks like one that runs, and ends for good in a moment.
      if (factOrNull('freezing') !== null && factOrNull('freeze') === null)
        await stopAll(deps.engine, running, intent.workload.config.stopTimeoutSeconds);
      const { gone } = await resume(deps.engine, running);
      for (const name of gone) warn(`the container "${name}" was removed by somebody while it was frozen`);
      return;
    }
    case 'pause':
      for (const container of running) {
        const now = await deps.engine.inspect(container.id);
        if (now === null) warn(`the container "${container.name}" was removed by somebody while it was frozen`);
        else if (now.state === 'paused') await deps.engine.unpause(container.id);
      }
      return;
    case 'live':
      return;
    default:
      intent.workload.config.capture.freeze satisfies never;
  }
}

/** Whether there are containers that `freeze` put to rest. */
export function standStill({ intent, fact }: Pick<StepContext<CaptureFacts>, 'intent' | 'fact'>): boolean {
  return intent.workload.config.capture.freeze !== 'live' && fact('freeze').frozen.length > 0;
}
