import { asc, inArray } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { containers } from '../schema/containers.ts';

export type ContainerRow = typeof containers.$inferSelect;

/** The containers of these workloads as their agents last reported them. */
export async function listContainers(db: Queryable, workloadIds: readonly string[]): Promise<ContainerRow[]> {
  if (workloadIds.length === 0) return [];
  return db
    .select()
    .from(containers)
    .where(inArray(containers.workloadId, [...workloadIds]))
    .orderBy(asc(containers.name));
}
