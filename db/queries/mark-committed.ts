import { type AgentSql, COMMIT_MARGIN_SECONDS, type Holder } from './agent-statement.ts';

/** `lease_short`: still ours, but it must be renewed first. */
export type CommitAnswer = 'committed' | 'cancelled' | 'expired' | 'lease_short' | 'lost';

/**
 * The database's word right before the commit point, given once and atomically: after `committed` a cancel is refused, and
 * after `cancelled` the agent unwinds; both cannot happen. The row is locked first, so that a cancel on its way is seen.
 */
export async function markCommitted(sql: AgentSql, holder: Holder): Promise<CommitAnswer> {
  const rows = await sql<{ answer: CommitAnswer }[]>`
    with intent as materialized (
      select id, case
          when lease_epoch <> ${holder.leaseEpoch} or state not in ('claimed', 'running') then 'lost'
          when committed_at is not null then 'committed'
          when cancel_requested_at is not null then 'cancelled'
          when not_after < clock_timestamp() then 'expired'
          when lease_until is null or lease_until < clock_timestamp() + make_interval(secs => ${COMMIT_MARGIN_SECONDS}) then 'lease_short'
          else 'committed'
        end as answer
      from intents where id = ${holder.intentId} and host_id = ${holder.hostId}
      for update
    ), marked as (
      update intents i set committed_at = coalesce(i.committed_at, clock_timestamp())
      from intent where i.id = intent.id and intent.answer = 'committed'
    )
    select answer from intent`;
  return rows[0]?.answer ?? 'lost';
}
