import type { AgentSql } from './agent-statement.ts';

/** The workloads of the host that is logged in: row-level security shows no others. The configuration is not parsed yet. */
export async function ownWorkloads(sql: AgentSql): Promise<{ readonly id: string; readonly config: unknown }[]> {
  return sql<{ id: string; config: unknown }[]>`select id, config from workloads order by name`;
}
