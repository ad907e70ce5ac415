/**
 * Quiesce: the workload's containers stopped, and unable to start by themselves. Here the downtime starts.
 * Input: the workload. What ran, with which restart policy, is durable before the first container is touched.
 * Undo puts the policies back and starts what ran.
 */
import { findOutsiders } from '../../deploy/outsiders.ts';
import { record, recordContainers, resume, quiesce as stopContainers } from '../../deploy/quiesce.ts';
import type { QuiescedContainer } from '../../deploy/types.ts';
import type { RestoreFacts } from '../facts.ts';
import type { Step, StepContext } from '../saga.ts';

export const quiesce: Step<RestoreFacts, 'quiesce'> = {
  name: 'quiesce',

  async act(context) {
    const { deps, intent, fact, factOrNull, note } = context;
    // A second run must not record what the first one has stopped already.
    if (factOrNull('others') === null) note('others', await recordOthers(context));
    if (factOrNull('containers') === null) {
      note('containers', await recordContainers(deps.engine, intent.workload.id, fact('preflight').adoptedIds));
    }
    if (factOrNull('stopping') === null) note('stopping', deps.now().toISOString());
    await stopAll(context);
    return {
      stopped: [...fact('containers'), ...fact('others')].filter(({ active }) => active).map(({ name }) => name),
    };
  },

  async undo({ deps, factOrNull, warn }) {
    const { gone } = await resume(deps.engine, [...(factOrNull('containers') ?? []), ...(factOrNull('others') ?? [])]);
    for (const name of gone) warn(`the container "${name}" was removed by somebody while it was stopped`);
  },
};

/** Stops everything that was recorded; again after a crash, when somebody may have started one of them. */
export async function stopAll({ deps, intent, fact }: StepContext<RestoreFacts>): Promise<void> {
  const all = [...fact('containers'), ...fact('others')];
  await stopContainers(deps.engine, all, intent.workload.config.stopTimeoutSeconds);
}

async function recordOthers({ deps, intent, fact }: StepContext<RestoreFacts>): Promise<QuiescedContainer[]> {
  const { targets, adoptedIds } = fact('preflight');
  const shared = targets.filter((target) => target.shared).map((target) => target.live);
  if (shared.length === 0) return [];
  const outsiders = await findOutsiders(deps.engine, intent.workload.id, shared, adoptedIds);
  const found = await Promise.all(outsiders.map((outsider) => deps.engine.inspect(outsider.id)));
  return found.filter((info) => info !== null).map(record);
}
