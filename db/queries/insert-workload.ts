import type { Queryable } from '../client.ts';
import { workloads } from '../schema/workloads.ts';
import type { WorkloadConfig } from '../workload.ts';
import type { WorkloadRow } from './find-workload.ts';

/** Null if the name is taken. */
export async function insertWorkload(db: Queryable, id: string, config: WorkloadConfig): Promise<WorkloadRow | null> {
  const rows = await db
    .insert(workloads)
    .values({ id, hostId: config.hostId, name: config.name, project: config.project, config })
    .onConflictDoNothing({ target: workloads.name })
    .returning();
  return rows[0] ?? null;
}
