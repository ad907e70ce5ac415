import type { Queryable } from '../client.ts';
import { hosts } from '../schema/hosts.ts';
import type { HostRow } from './find-host.ts';

/** Null if the name is taken. */
export async function insertHost(db: Queryable, id: string, name: string): Promise<HostRow | null> {
  const rows = await db.insert(hosts).values({ id, name }).onConflictDoNothing({ target: hosts.name }).returning();
  return rows[0] ?? null;
}
