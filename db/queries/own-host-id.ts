import type { AgentSql } from './agent-statement.ts';

/** The host whose login this connection uses; null for any other login. */
export async function ownHostId(sql: AgentSql): Promise<string | null> {
  const rows = await sql<{ id: string | null }[]>`select refloat_host_id() as id`;
  return rows[0]?.id ?? null;
}
