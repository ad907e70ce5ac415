import type { AgentSql } from './agent-statement.ts';
import { type ClaimedRow, takenAnew } from './claim-intent.ts';

const READOPT = takenAnew(`i.state in ('claimed', 'running', 'stuck')`);

/**
 * The agent was started again: it takes the intents that it left claimed, running or stuck under a new epoch, which fences
 * out whatever its predecessor still has on the way.
 */
export async function readoptIntents(sql: AgentSql, hostId: string, instance: string): Promise<ClaimedRow[]> {
  return sql<ClaimedRow[]>(READOPT, hostId, hostId, instance);
}
