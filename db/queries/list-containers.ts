import { asc, inArray, or, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { containers } from '../schema/containers.ts';
import { workloads } from '../schema/workloads.ts';

export type ContainerRow = typeof containers.$inferSelect;

/** The containers of these workloads as their agents last reported them, those that they adopted included. */
export async function listContainers(db: Queryable, workloadIds: readonly string[]): Promise<ContainerRow[]> {
  if (workloadIds.length === 0) return [];
  return db
    .select()
    .from(containers)
    .where(
      or(
        inArray(containers.workloadId, [...workloadIds]),
        sql`${containers.workloadId} is null and exists (select from ${workloads} w
          where ${inArray(sql`w.id`, [...workloadIds])} and w.host_id = ${containers.hostId}
            and w.config -> 'adopted' -> 'containers' ? ${containers.name})`,
      ),
    )
    .orderBy(asc(containers.name));
}
