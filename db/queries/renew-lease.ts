import { type AgentSql, type Holder, LEASE_SECONDS } from './agent-statement.ts';

export interface Renewed {
  readonly cancelRequested: boolean;
  readonly expired: boolean;
}

/**
 * Prolongs a lease by the database's clock, and learns whether a cancel was requested, and whether `not_after` has passed.
 * Null: the lease is lost. A lease that ran out while the database was away is taken up again: no other host can have it.
 */
export async function renewLease(sql: AgentSql, holder: Holder): Promise<Renewed | null> {
  const rows = await sql<Renewed[]>`
    update intents set lease_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS})
    where id = ${holder.intentId} and host_id = ${holder.hostId} and lease_epoch = ${holder.leaseEpoch}
      and state in ('claimed', 'running')
    returning cancel_requested_at is not null as "cancelRequested", coalesce(not_after < clock_timestamp(), false) as expired`;
  return rows[0] ?? null;
}
