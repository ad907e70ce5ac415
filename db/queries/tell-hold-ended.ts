import { type AgentSql, jsonText } from './agent-statement.ts';

/** Code of the event that says so. */
const CODE = 'HOLD_ENDED_EARLY';

/** An intent that is over has lost its previous tree before its undo window ended: one more event of it, once however often it is told. */
export async function tellHoldEnded(sql: AgentSql, hostId: string, intentId: string, at: string): Promise<void> {
  const data = {
    code: CODE,
    message: 'the disk ran low, so the previous tree was given up before the undo window ended',
    hint: 'An undo restores the pre-restore snapshot instead, which takes as long as any restore.',
  };
  await sql`
    insert into intent_events (intent_id, host_id, seq, at, type, data)
    select i.id, i.host_id, coalesce((select max(e.seq) from intent_events e where e.intent_id = i.id), 0) + 1,
      ${at}::text::timestamptz, 'warning', ${jsonText(data)}::text::jsonb
    from intents i
    where i.id = ${intentId} and i.host_id = ${hostId}
      and not exists (select from intent_events e where e.intent_id = i.id and e.data ->> 'code' = ${CODE})
    on conflict do nothing`;
}
