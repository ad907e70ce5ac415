import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';

/**
 * Ends the connections that a host's login holds, so that an old credential is of no use at once. Needs to be a member of
 * that role, which `enrollHost` sees to, or a superuser.
 */
export async function endSessionsOfHost(db: Queryable, role: string): Promise<void> {
  await db.execute(sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${role}`);
}
