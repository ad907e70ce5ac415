import type { AgentSql, Holder } from './agent-statement.ts';

/** claimed → running; fine if it runs already. False: the lease is lost. */
export async function startIntent(sql: AgentSql, holder: Holder): Promise<boolean> {
  const rows = await sql`
    update intents set state = 'running'
    where id = ${holder.intentId} and host_id = ${holder.hostId} and lease_epoch = ${holder.leaseEpoch}
      and state in ('claimed', 'running')
    returning id`;
  return rows.length === 1;
}
