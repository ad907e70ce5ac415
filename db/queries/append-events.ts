import type { IntentEvent } from '../results.ts';
import { type AgentSql, type Holder, jsonText } from './agent-statement.ts';

/**
 * Adds events of an intent; one that is there already is left as it is, so that delivering twice changes nothing.
 * The lock on the intent's row keeps the epoch from changing between the check and the insert. False: the lease is lost.
 */
export async function appendEvents(sql: AgentSql, holder: Holder, events: readonly IntentEvent[]): Promise<boolean> {
  const rows = await sql<{ held: boolean }[]>`
    with held as materialized (
      select id, host_id from intents
      where id = ${holder.intentId} and host_id = ${holder.hostId} and lease_epoch = ${holder.leaseEpoch}
      for share
    ), added as (
      insert into intent_events (intent_id, host_id, seq, at, type, data)
      select held.id, held.host_id, event.seq, event.at, event.type, event.data
      from held cross join jsonb_to_recordset(${jsonText(events)}::text::jsonb)
        as event (seq integer, at timestamptz, type text, data jsonb)
      on conflict do nothing
    )
    select exists (select from held) as held`;
  return rows[0]?.held === true;
}
