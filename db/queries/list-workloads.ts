import { and, asc, type SQL } from 'drizzle-orm';
import { isAnyOf } from '../any-of.ts';
import type { Queryable } from '../client.ts';
import { ALL, behind, type Seek } from '../page.ts';
import { workloads } from '../schema/workloads.ts';
import type { WorkloadRow } from './find-workload.ts';

export interface WorkloadFilter {
  readonly ids?: readonly string[];
  readonly projects?: readonly string[];
}

/** By name; only those that every part of the filter lets through. */
export async function listWorkloads(
  db: Queryable,
  filter: WorkloadFilter = {},
  seek: Seek = ALL,
): Promise<WorkloadRow[]> {
  return db
    .select()
    .from(workloads)
    .where(and(workloadsThrough(filter), behind('ascending', workloads.name, workloads.id, seek)))
    .orderBy(asc(workloads.name), asc(workloads.id))
    .limit(seek.limit);
}

/** Undefined: all of them. */
export function workloadsThrough({ ids, projects }: WorkloadFilter): SQL | undefined {
  return and(
    ids === undefined ? undefined : isAnyOf(workloads.id, ids),
    projects === undefined ? undefined : isAnyOf(workloads.project, projects),
  );
}
