import { eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { workloads } from '../schema/workloads.ts';
import type { WorkloadRow } from './find-workload.ts';

export async function findWorkloadByName(db: Queryable, name: string): Promise<WorkloadRow | null> {
  const rows = await db.select().from(workloads).where(eq(workloads.name, name));
  return rows[0] ?? null;
}
