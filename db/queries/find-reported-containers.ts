import { and, asc, eq, like, or } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { containers } from '../schema/containers.ts';
import type { ContainerRow } from './list-containers.ts';

/** Docker's own shortest way to write an id. */
const SHORT_ID = /^[0-9a-f]{12,64}$/;

/** The containers that have this name, or an id that begins so, on one host or on all. */
export async function findReportedContainers(
  db: Queryable,
  nameOrId: string,
  hostId: string | undefined,
): Promise<ContainerRow[]> {
  const named = eq(containers.name, nameOrId);
  return db
    .select()
    .from(containers)
    .where(
      and(
        SHORT_ID.test(nameOrId) ? or(named, like(containers.containerId, `${nameOrId}%`)) : named,
        ...(hostId === undefined ? [] : [eq(containers.hostId, hostId)]),
      ),
    )
    .orderBy(asc(containers.hostId), asc(containers.name));
}

/** All containers that a host has reported. */
export async function listContainersOfHost(db: Queryable, hostId: string): Promise<ContainerRow[]> {
  return db.select().from(containers).where(eq(containers.hostId, hostId)).orderBy(asc(containers.name));
}
