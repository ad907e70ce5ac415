import { asc } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { hosts } from '../schema/hosts.ts';
import type { HostRow } from './find-host.ts';

/** By name. */
export async function listHosts(db: Queryable): Promise<HostRow[]> {
  return db.select().from(hosts).orderBy(asc(hosts.name));
}
