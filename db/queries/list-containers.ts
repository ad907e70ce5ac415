import { and, asc, eq, sql } from 'drizzle-orm';
import { arrayText } from '../any-of.ts';
import { builtOnce, type Queryable } from '../client.ts';
import { containers } from '../schema/containers.ts';
import { workloads } from '../schema/workloads.ts';
import type { WorkloadRow } from './find-workload.ts';

export type ContainerRow = typeof containers.$inferSelect;

const ofOne = builtOnce((db) =>
  db
    .select()
    .from(containers)
    .where(
      and(
        eq(containers.hostId, sql.placeholder('hostId')),
        sql`(${containers.workloadId} = ${sql.placeholder('id')}
          or ${containers.workloadId} is null and ${sql.placeholder('adopted')}::text::jsonb ? ${containers.name})`,
      ),
    )
    .orderBy(asc(containers.name))
    .prepare('list_containers_of_one'),
);

const ids = sql`any (${sql.placeholder('ids')}::text::uuid[])`;
const ofMany = builtOnce((db) =>
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
export async function listContainers(db: Queryable, rows: readonly WorkloadRow[]): Promise<ContainerRow[]> {
  const [row, ...others] = rows;
  if (row === undefined) return [];
  if (others.length > 0) return ofMany(db).execute({ ids: arrayText(rows.map(({ id }) => id)) });
  // Of one, Postgres keeps one plan; of an array it makes another each time, which takes longer than to follow it.
  const adopted = JSON.stringify(row.config.adopted?.containers ?? []);
  return ofOne(db).execute({ hostId: row.hostId, id: row.id, adopted });
}
