import { and, eq, isNull, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { hosts } from '../schema/hosts.ts';
import type { HostRow } from './find-host.ts';

/** Takes the host's login away for good; null if there is no such host, or it is revoked already. */
export async function revokeHost(db: Queryable, hostId: string): Promise<HostRow | null> {
  const rows = await db
    .update(hosts)
    .set({ revokedAt: sql`now()` })
    .where(and(eq(hosts.id, hostId), isNull(hosts.revokedAt)))
    .returning();
  const host = rows[0];
  if (host === undefined) return null;
  if (host.pgRole !== null) {
    if (!/^refloat_host_[0-9a-f]{32}$/.test(host.pgRole)) throw new Error('not the login of a host');
    await db.execute(sql.raw(`alter role ${host.pgRole} nologin`));
  }
  return host;
}
