import { eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { workloads } from '../schema/workloads.ts';

export type WorkloadRow = typeof workloads.$inferSelect;

export async function findWorkload(db: Queryable, id: string): Promise<WorkloadRow | null> {
  const rows = await db.select().from(workloads).where(eq(workloads.id, id));
  return rows[0] ?? null;
}
