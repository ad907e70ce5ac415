/**
 * Quiesce: the workload's containers stopped, and unable to start by themselves. Here the downtime starts.
 * Input: the workload. What ran, with which restart policy, is durable before the first container is touched.
 * Undo puts the policies back and starts what ran.
 */
import { recordContainers, resume, quiesce as stopContainers } from '../../deploy/quiesce.ts';
import type { RestoreFacts } from '../facts.ts';
import type { Step } from '../saga.ts';

export const quiesce: Step<RestoreFacts, 'quiesce'> = {
  name: 'quiesce',

  async act({ deps, intent, fact, factOrNull, note }) {
    // A second run must not record what the first one has stopped already.
    if (factOrNull('containers') === null) {
      note('containers', await recordContainers(deps.engine, intent.workload.id));
      note('stopping', deps.now().toISOString());
    }
    const records = fact('containers');
    await stopContainers(deps.engine, records, intent.workload.config.stopTimeoutSeconds);
    return { stopped: records.filter((record) => record.active).map((record) => record.name) };
  },

  async undo({ deps, factOrNull }) {
    await resume(deps.engine, factOrNull('containers') ?? []);
  },
};
