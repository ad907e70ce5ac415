import { asc, inArray } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { workloads } from '../schema/workloads.ts';
import type { WorkloadRow } from './find-workload.ts';

/** By name; only `ids` if given. */
export async function listWorkloads(db: Queryable, ids?: readonly string[]): Promise<WorkloadRow[]> {
  return db
    .select()
    .from(workloads)
    .where(ids === undefined ? undefined : inArray(workloads.id, [...ids]))
    .orderBy(asc(workloads.name));
}
