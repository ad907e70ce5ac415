import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';

/** Wakes the agent of one host, or of all, although there is no intent: it looks around, and reports its containers anew. At the commit. */
export async function ringHosts(db: Queryable, hostId: string | undefined): Promise<void> {
  const chosen = hostId === undefined ? sql`` : sql`where id = ${hostId}`;
  await db.execute(sql`select pg_notify('refloat_' || replace(id::text, '-', ''), '') from hosts ${chosen}`);
}
