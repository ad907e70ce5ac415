import type { AgentSql, Holder } from './agent-statement.ts';

/**
 * Asked when a statement did not find the intent held by us: true if Postgres has only forgotten the claim (a failover, a crash before it
 * was on its disk) and nobody has taken the intent since but we ourselves. It waits to be claimed again, which only this host can do, or
 * has been claimed again meanwhile. That is no loss of the lease.
 */
export async function isStillOurs(sql: AgentSql, { intentId, hostId, leaseEpoch }: Holder): Promise<boolean> {
  const rows = await sql`
    select from intents
    where id = ${intentId} and host_id = ${hostId}
      and (state = 'pending' and lease_epoch < ${leaseEpoch} or state in ('claimed', 'running') and lease_epoch = ${leaseEpoch})`;
  return rows.length > 0;
}
