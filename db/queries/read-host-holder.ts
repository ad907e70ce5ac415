import type { AgentSql } from './agent-statement.ts';
import type { HostHolder } from './hold-host.ts';

/** Which agent holds a host; null if the host does not exist, or this login may not see it. */
export async function readHostHolder(sql: AgentSql, hostId: string): Promise<HostHolder | null> {
  const rows = await sql<HostHolder[]>`
    select agent_instance as instance, agent_boot_id as "bootId", agent_seen_at::text as "seenAt", revoked_at is not null as revoked
    from hosts where id = ${hostId}`;
  return rows[0] ?? null;
}
