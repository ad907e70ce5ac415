import { type AgentSql, LEASE_SECONDS, written } from './agent-statement.ts';
import { CLAIMED_ROWS, type ClaimedRow } from './claim-intent.ts';

const ADOPT = written(`
  with claimed as (
    update intents i
    set lease_epoch = i.lease_epoch + 1, lease_until = now() + make_interval(secs => ${LEASE_SECONDS}), attempts = i.attempts + 1
    where i.host_id = ? and i.state = 'claimed'
      and i.id::text not in (select jsonb_array_elements_text(?::text::jsonb))
      and exists (select from hosts h where h.id = ? and h.agent_instance = ? and h.revoked_at is null)
    returning i.*
  )
  ${CLAIMED_ROWS}`);

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
