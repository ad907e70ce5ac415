import { eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { hosts } from '../schema/hosts.ts';

export type HostRow = typeof hosts.$inferSelect;

export async function findHost(db: Queryable, id: string): Promise<HostRow | null> {
  const rows = await db.select().from(hosts).where(eq(hosts.id, id));
  return rows[0] ?? null;
}
