import { eq, sql } from 'drizzle-orm';
import { builtOnce, type Queryable } from '../client.ts';
import { workloads } from '../schema/workloads.ts';

export type WorkloadRow = typeof workloads.$inferSelect;

const query = builtOnce((db) =>
  db
    .select()
    .from(workloads)
    .where(eq(workloads.id, sql.placeholder('id')))
    .prepare('find_workload'),
);

export async function findWorkload(db: Queryable, id: string): Promise<WorkloadRow | null> {
  const rows = await query(db).execute({ id });
  return rows[0] ?? null;
}
