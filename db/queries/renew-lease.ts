import { type AgentSql, type Holder, LEASE_SECONDS } from './agent-statement.ts';

/**
 * Prolongs a lease by the database's clock, and learns whether a cancel was requested.
 * Null: the lease is lost. A lease that ran out while the database was away is taken up again: no other host can have it.
 */
export async function renewLease(sql: AgentSql, holder: Holder): Promise<{ readonly cancelRequested: boolean } | null> {
  const rows = await sql<{ cancelRequested: boolean }[]>`
    update intents set lease_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS})
    where id = ${holder.intentId} and host_id = ${holder.hostId} and lease_epoch = ${holder.leaseEpoch}
      and state in ('claimed', 'running')
    returning cancel_requested_at is not null as "cancelRequested"`;
  return rows[0] ?? null;
}
