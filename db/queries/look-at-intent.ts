import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import type { IntentState } from '../intent-state.ts';
import type { IntentEvent, Progress } from '../results.ts';

export interface IntentLook {
  readonly state: IntentState;
  readonly step: string | null;
  readonly progress: Progress | null;
  readonly events: readonly EventLook[];
  /** Over for so long that its agent has delivered everything. */
  readonly settled: boolean;
}

export interface EventLook {
  readonly seq: number;
  readonly at: string;
  readonly type: IntentEvent['type'];
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * Where an intent is, and its events after `afterSeq`, in order, at most `limit`; null if there is no such intent.
 * One statement sees one moment: a state that is over comes with every event that was written before it.
 */
export async function lookAtIntent(
  db: Queryable,
  id: string,
  afterSeq: number,
  limit: number,
): Promise<IntentLook | null> {
  const rows = await db.execute<Record<string, unknown>>(sql`
    select i.state, i.step, i.progress, coalesce(i.finished_at < now() - interval '10 seconds', false) as settled, coalesce((
      select jsonb_agg(jsonb_build_object('seq', e.seq, 'at', e.at, 'type', e.type, 'data', e.data) order by e.seq)
      from (select * from intent_events where intent_id = i.id and seq > ${afterSeq} order by seq limit ${limit}) e
    ), '[]') as events
    from intents i where i.id = ${id}`);
  const row = rows[0];
  return row === undefined ? null : parsed(row);
}

/** Drizzle leaves the JSON of raw statements as text. */
function parsed(row: Record<string, unknown>): IntentLook {
  const json = (value: unknown): unknown => (typeof value === 'string' ? JSON.parse(value) : value);
  return {
    state: row['state'] as IntentState,
    step: row['step'] as string | null,
    progress: json(row['progress']) as Progress | null,
    settled: row['settled'] === true,
    events: (json(row['events']) as EventLook[]).map((event) => ({ ...event, at: new Date(event.at).toISOString() })),
  };
}
