import type { AgentSql, Holder } from './agent-statement.ts';

/** claimed → running, unless `not_after` has passed meanwhile; fine if it runs already. False: it has, or the lease is lost. */
export async function startIntent(sql: AgentSql, holder: Holder): Promise<boolean> {
  const rows = await sql`
    update intents set state = 'running'
    where id = ${holder.intentId} and host_id = ${holder.hostId} and lease_epoch = ${holder.leaseEpoch}
      and (state = 'running' or state = 'claimed' and coalesce(not_after >= clock_timestamp(), true))
    returning id`;
  return rows.length === 1;
}
