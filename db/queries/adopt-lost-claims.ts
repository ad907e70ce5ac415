import type { AgentSql } from './agent-statement.ts';
import { type ClaimedRow, takenAnew } from './claim-intent.ts';

const ADOPT = takenAnew(`i.state = 'claimed' and i.id::text not in (select jsonb_array_elements_text(?::text::jsonb))`);

/**
 * Intents that this agent has claimed without hearing of it, since Postgres went away between the commit and the answer. Nobody else may
 * take them, and nobody works on them.
 * @param known ids of all intents that this agent works on or has an outcome of
 */
export async function adoptLostClaims(
  sql: AgentSql,
  hostId: string,
  instance: string,
  known: readonly string[],
): Promise<ClaimedRow[]> {
  return sql<ClaimedRow[]>(ADOPT, hostId, JSON.stringify(known), hostId, instance);
}
