/**
 * Quiesce: the workload's containers stopped, and unable to start by themselves. Here the downtime starts.
 * Input: the workload. What ran, with which restart policy, is durable before the first container is touched.
 * Undo puts the policies back and starts what ran.
 */
import { findOutsiders } from '../../deploy/outsiders.ts';
import {
  disableRestarts,
  record,
  recordContainers,
  resume,
  stopAll as stopContainers,
  quiesce as stopForCertain,
} from '../../deploy/quiesce.ts';
import type { QuiescedContainer } from '../../deploy/types.ts';
import type { RestoreFacts } from '../facts.ts';
import type { Step, StepContext } from '../saga.ts';

export const quiesce: Step<RestoreFacts, 'quiesce'> = {
  name: 'quiesce',
  downtime: 'begins',

  async act(context) {
    const { deps, intent, fact, factOrNull, note } = context;
    // A second run must not record what the first one has stopped already.
    if (factOrNull('others') === null) note('others', await recordOthers(context));
    if (factOrNull('containers') === null) {
      note('containers', await recordContainers(deps.engine, intent.workload.id, fact('preflight').adoptedIds));
    }
    const all = [...fact('containers'), ...fact('others')];
    await disableRestarts(deps.engine, all);
    if (factOrNull('stopping') === null) note('stopping', deps.now().toISOString());
    context.control.prepareCommit();
    // That they are stopped is looked at by swap, together with whoever else may run: the workload is down meanwhile.
    await stopContainers(deps.engine, all, intent.workload.config.stopTimeoutSeconds);
    return { stopped: all.filter(({ active }) => active).map(({ name }) => name) };
  },

  async undo({ deps, factOrNull, warn }) {
    const { gone } = await resume(deps.engine, [...(factOrNull('containers') ?? []), ...(factOrNull('others') ?? [])]);
    for (const name of gone) warn(`the container "${name}" was removed by somebody while it was stopped`);
  },
};

/** Stops everything that was recorded; again after a crash, when somebody may have started one of them. */
export async function stopAll({ deps, intent, fact }: StepContext<RestoreFacts>): Promise<void> {
  const all = [...fact('containers'), ...fact('others')];
  await stopForCertain(deps.engine, all, intent.workload.config.stopTimeoutSeconds);
}

async function recordOthers({ deps, intent, fact }: StepContext<RestoreFacts>): Promise<QuiescedContainer[]> {
  const { targets, adoptedIds } = fact('preflight');
  const shared = targets.filter((target) => target.shared).map((target) => target.live);
  if (shared.length === 0) return [];
  const outsiders = await findOutsiders(deps.engine, intent.workload.id, shared, adoptedIds);
  const found = await Promise.all(outsiders.map((outsider) => deps.engine.inspect(outsider.id)));
  return found.filter((info) => info !== null).map(record);
}
