import { and, asc, inArray } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { ALL, behind, type Seek } from '../page.ts';
import { hosts } from '../schema/hosts.ts';
import { workloads } from '../schema/workloads.ts';
import type { HostRow } from './find-host.ts';
import { type WorkloadFilter, workloadsThrough } from './list-workloads.ts';

/** By name; with a filter only the hosts of workloads that it lets through. */
export async function listHosts(db: Queryable, filter: WorkloadFilter = {}, seek: Seek = ALL): Promise<HostRow[]> {
  const through = workloadsThrough(filter);
  return db
    .select()
    .from(hosts)
    .where(
      and(
        through === undefined
          ? undefined
          : inArray(hosts.id, db.select({ id: workloads.hostId }).from(workloads).where(through)),
        behind('ascending', hosts.name, hosts.id, seek),
      ),
    )
    .orderBy(asc(hosts.name), asc(hosts.id))
    .limit(seek.limit);
}
