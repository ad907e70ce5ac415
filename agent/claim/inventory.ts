/** Tells Postgres which containers this host has; for people, never an input of a restore. */
import { isUuid } from '../../db/ids.ts';
import type { ReportedContainer } from '../../db/queries/report-containers.ts';
import { WORKLOAD_LABEL } from '../deploy/labels.ts';
import type { Engine } from '../docker/engine.ts';

export async function readInventory(engine: Pick<Engine, 'list'>): Promise<ReportedContainer[]> {
  return (await engine.list()).map((container) => {
    const workloadId = container.labels[WORKLOAD_LABEL];
    const { name: policy, maximumRetryCount } = container.restartPolicy;
    return {
      containerId: container.id,
      workloadId: workloadId !== undefined && isUuid(workloadId) ? workloadId : null,
      name: container.name,
      image: container.image,
      imageId: container.imageId,
      state: container.state,
      health: container.health === 'none' ? null : container.health,
      restartPolicy:
        policy === 'on-failure' && maximumRetryCount > 0 ? `${policy}:${maximumRetryCount}` : policy || 'no',
      startedAt: container.startedAt,
    };
  });
}
