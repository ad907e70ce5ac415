import type { AgentSql } from './agent-statement.ts';

/** The agent ends in order: the next one need not wait until this one counts as silent. */
export async function releaseHost(sql: AgentSql, hostId: string, instance: string): Promise<void> {
  await sql`update hosts set agent_instance = null where id = ${hostId} and agent_instance = ${instance}`;
}
