import { and, eq, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { workloads } from '../schema/workloads.ts';
import type { WorkloadConfig } from '../workload.ts';
import type { WorkloadRow } from './find-workload.ts';

/** Replaces the configuration that has this version; null if the version is another by now. */
export async function updateWorkload(
  db: Queryable,
  id: string,
  version: number,
  config: WorkloadConfig,
): Promise<WorkloadRow | null> {
  const rows = await db
    .update(workloads)
    .set({
      name: config.name,
      project: config.project,
      config,
      version: sql`${workloads.version} + 1`,
      updatedAt: sql`now()`,
    })
    .where(and(eq(workloads.id, id), eq(workloads.version, version)))
    .returning();
  return rows[0] ?? null;
}
