/**
 * Quiesce: the workload's containers stopped, and unable to start by themselves. Here the downtime starts.
 * Input: the workload. What ran, with which restart policy, is durable before the first container is touched. Others that run on shared
 * volumes are stopped as well, under the locks of their workloads, which are kept until health or the end of the unwinding.
 * Undo puts the policies back and starts what ran, once what was being stopped has ended.
 */
import { disableRestarts, resume, stopAll as stopContainers, quiesce as stopForCertain } from '../../deploy/quiesce.ts';
import type { RestoreFacts } from '../facts.ts';
import type { Step, StepContext } from '../saga.ts';
import { recordAll } from '../sharing.ts';

export const quiesce: Step<RestoreFacts, 'quiesce'> = {
  name: 'quiesce',
  undoResumes: 'workload',
  downtime: 'begins',

  async act(context) {
    const { deps, intent, fact, factOrNull, note } = context;
    // A second run must not record what the first one has stopped already.
    if (factOrNull('containers') === null) {
      const { containers, others } = await recordAll(context);
      // Staging may have lasted, and so may a wait for others.
      await context.control.confirmStop();
      note('others', others);
      note('containers', containers);
    }
    const all = [...fact('containers'), ...fact('others')];
    await disableRestarts(deps.engine, all);
    if (factOrNull('stopping') === null) note('stopping', deps.now().toISOString());
    context.control.prepareCommit();
    // That they are stopped is looked at by swap, together with whoever else may run: the workload is down meanwhile.
    await stopContainers(deps.engine, all, intent.workload.config.stopTimeoutSeconds);
    return { stopped: all.filter(({ active }) => active).map(({ name }) => name) };
  },

  async undo({ deps, intent, factOrNull, warn }) {
    const all = [...(factOrNull('containers') ?? []), ...(factOrNull('others') ?? [])];
    // One that is being stopped looks like one that runs, and ends for good in a moment; one that somebody started before the
    // exchange was taken back runs on the tree that is not live any more. Both are stopped for certain first.
    const mayBeStopping = factOrNull('stopping') !== null && factOrNull('quiesce') === null;
    if (mayBeStopping || factOrNull('exchanges') !== null)
      await stopContainers(
        deps.engine,
        all.filter(({ active }) => active),
        intent.workload.config.stopTimeoutSeconds,
      );
    const { gone } = await resume(deps.engine, all);
    warnOfGone(gone, warn);
  },
};

export function warnOfGone(names: readonly string[], warn: StepContext<RestoreFacts>['warn']): void {
  for (const name of names) warn(`the container "${name}" was removed by somebody while it was stopped`);
}

/** Stops everything that was recorded; again after a crash, when somebody may have started one of them. */
export async function stopAll({ deps, intent, fact }: StepContext<RestoreFacts>): Promise<void> {
  const all = [...fact('containers'), ...fact('others')];
  await stopForCertain(deps.engine, all, intent.workload.config.stopTimeoutSeconds);
}
