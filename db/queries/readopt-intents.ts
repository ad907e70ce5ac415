import { type AgentSql, LEASE_SECONDS, written } from './agent-statement.ts';
import { CLAIMED_ROWS, type ClaimedRow } from './claim-intent.ts';

const READOPT = written(`
  with claimed as (
    update intents i
    set lease_epoch = i.lease_epoch + 1, lease_until = now() + make_interval(secs => ${LEASE_SECONDS}), attempts = i.attempts + 1
    where i.host_id = ? and i.state in ('claimed', 'running', 'stuck')
      and exists (select from hosts h where h.id = ? and h.agent_instance = ? and h.revoked_at is null)
    returning i.*
  )
  ${CLAIMED_ROWS}`);

/**
 * The agent was started again: it takes the intents that it left claimed, running or stuck under a new epoch, which fences
 * out whatever its predecessor still has on the way.
 */
export async function readoptIntents(sql: AgentSql, hostId: string, instance: string): Promise<ClaimedRow[]> {
  return sql<ClaimedRow[]>(READOPT, hostId, hostId, instance);
}
