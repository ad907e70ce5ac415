import type { AgentSql } from './agent-statement.ts';

/** The agent's heartbeat. False: another agent holds the host now, or the host was revoked. */
export async function touchHost(
  sql: AgentSql,
  hostId: string,
  instance: string,
  engineVersion: string | null,
): Promise<boolean> {
  const rows = await sql`
    update hosts set agent_seen_at = now(), engine_version = coalesce(${engineVersion}, engine_version)
    where id = ${hostId} and agent_instance = ${instance} and revoked_at is null
    returning id`;
  return rows.length === 1;
}
