import { and, eq, inArray, isNull, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { databaseErrorFacts } from '../database-error.ts';
import { RefloatError } from '../errors.ts';
import { hosts } from '../schema/hosts.ts';
import { intents } from '../schema/intents.ts';
import { endSessionsOfHost } from './end-sessions-of-host.ts';
import type { HostRow } from './find-host.ts';

/** A host that does not want to be revoked can hold its own row locked, until its session is ended. */
const ATTEMPTS = 5;

export interface RevokedHost {
  readonly host: HostRow;
  /** Intents that it will never finish; they are failed with `HOST_REVOKED`. */
  readonly failedIntents: readonly string[];
}

/**
 * Takes the host's login away for good, ends what it was asked to do, and ends its sessions; null if there is no such host,
 * or it is revoked already. Inside a transaction: a session that it opens before the commit must be ended after it.
 */
export async function revokeHost(db: Queryable, hostId: string): Promise<RevokedHost | null> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction((tx) => revokeOnce(tx, hostId));
    } catch (thrown) {
      if (databaseErrorFacts(thrown)?.code !== '55P03' || attempt === ATTEMPTS) throw thrown;
    }
  }
}

async function revokeOnce(tx: Queryable, hostId: string): Promise<RevokedHost | null> {
  const [known] = await tx.select({ pgRole: hosts.pgRole }).from(hosts).where(eq(hosts.id, hostId));
  if (known === undefined) return null;
  if (known.pgRole !== null) {
    if (!/^refloat_host_[0-9a-f]{32}$/.test(known.pgRole)) throw new Error('not the login of a host');
    await tx.execute(sql.raw(`alter role ${known.pgRole} nologin`));
    await endSessionsOfHost(tx, known.pgRole);
  }
  await tx.execute(sql`set local lock_timeout = '1s'`);
  const [host] = await tx
    .update(hosts)
    .set({ revokedAt: sql`now()` })
    .where(and(eq(hosts.id, hostId), isNull(hosts.revokedAt)))
    .returning();
  if (host === undefined) return null;
  const failed = await tx
    .update(intents)
    .set({
      state: 'failed',
      error: hostRevoked(host.name).toJSON(),
      finishedAt: sql`now()`,
      leaseUntil: null,
      // What its agent still has to say of them is fenced out.
      leaseEpoch: sql`${intents.leaseEpoch} + 1`,
    })
    .where(and(eq(intents.hostId, hostId), inArray(intents.state, ['pending', 'claimed', 'running'])))
    .returning({ id: intents.id });
  return { host, failedIntents: failed.map(({ id }) => id) };
}

/** Why nothing more is asked of a host. */
function hostRevoked(name: string): RefloatError {
  return new RefloatError('HOST_REVOKED', `the host "${name}" was revoked`, {
    hint: 'What had begun there is finished or taken back by "refloat-agent recover" on that machine. Enrol it as a new host.',
  });
}
