import { asc, sql } from 'drizzle-orm';
import { builtOnce, type Queryable } from '../client.ts';
import { containers } from '../schema/containers.ts';
import { workloads } from '../schema/workloads.ts';

export type ContainerRow = typeof containers.$inferSelect;

/** One text for any number of ids, as an array in Postgres' own notation: behind Hyperdrive the driver does not know arrays. */
const ids = sql`any (${sql.placeholder('ids')}::text::uuid[])`;
const query = builtOnce((db) =>
  db
    .select()
    .from(containers)
    .where(
      // By the host, whose containers are found by their key.
      sql`exists (select from ${workloads} w where w.id = ${ids} and w.host_id = ${containers.hostId}
        and (${containers.workloadId} = w.id
          or ${containers.workloadId} is null and w.config -> 'adopted' -> 'containers' ? ${containers.name}))`,
    )
    .orderBy(asc(containers.name))
    .prepare('list_containers'),
);

/** The containers of these workloads as their agents last reported them, those that they adopted included. */
export async function listContainers(db: Queryable, workloadIds: readonly string[]): Promise<ContainerRow[]> {
  if (workloadIds.length === 0) return [];
  return query(db).execute({ ids: `{${workloadIds.join(',')}}` });
}
