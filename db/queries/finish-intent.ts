import type { Outcome } from '../results.ts';
import { type AgentSql, type Holder, jsonText } from './agent-statement.ts';

/**
 * The last word on an intent. `already`: this holder said the same before, so that saying it twice is harmless.
 * A stuck intent may be finished later, once a person has repaired the host. `lost`: another epoch, or another outcome.
 */
export async function finishIntent(
  sql: AgentSql,
  holder: Holder,
  outcome: Outcome,
): Promise<'finished' | 'already' | 'lost'> {
  const rows = await sql<{ answer: 'finished' | 'already' | 'lost' }[]>`
    with intent as materialized (
      select id, case
          when lease_epoch <> ${holder.leaseEpoch} then 'lost'
          when state in ('claimed', 'running', 'stuck') then 'finished'
          when state = ${outcome.state} then 'already'
          else 'lost'
        end as answer
      from intents where id = ${holder.intentId} and host_id = ${holder.hostId}
      for update
    ), finished as (
      update intents i
      set state = ${outcome.state}, result = ${outcome.result === null ? null : jsonText(outcome.result)}::text::jsonb,
        error = ${outcome.error === null ? null : jsonText(outcome.error)}::text::jsonb, finished_at = now(), lease_until = null
      from intent where i.id = intent.id and intent.answer = 'finished'
    )
    select answer from intent`;
  return rows[0]?.answer ?? 'lost';
}
