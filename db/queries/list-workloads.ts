import { and, asc, inArray } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { workloads } from '../schema/workloads.ts';
import type { WorkloadRow } from './find-workload.ts';

export interface WorkloadFilter {
  readonly ids?: readonly string[];
  readonly projects?: readonly string[];
}

/** By name; only those that every part of the filter lets through. */
export async function listWorkloads(db: Queryable, { ids, projects }: WorkloadFilter = {}): Promise<WorkloadRow[]> {
  return db
    .select()
    .from(workloads)
    .where(
      and(
        ids === undefined ? undefined : inArray(workloads.id, [...ids]),
        projects === undefined ? undefined : inArray(workloads.project, [...projects]),
      ),
    )
    .orderBy(asc(workloads.name));
}
