import { and, eq, inArray, isNull, sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { intents } from '../schema/intents.ts';
import type { IntentRow } from './insert-intent.ts';

/**
 * Asks for a cancel; null if the intent is past its commit point or over. One that no agent has claimed is cancelled here
 * and now; otherwise the agent unwinds and reports. The row's lock orders this against the agent's commit mark.
 */
export async function requestCancel(db: Queryable, id: string): Promise<IntentRow | null> {
  const rows = await db
    .update(intents)
    .set({
      cancelRequestedAt: sql`coalesce(${intents.cancelRequestedAt}, now())`,
      state: sql`case when ${intents.state} = 'pending' then 'cancelled' else ${intents.state} end`,
      finishedAt: sql`case when ${intents.state} = 'pending' then now() else ${intents.finishedAt} end`,
    })
    .where(
      and(eq(intents.id, id), isNull(intents.committedAt), inArray(intents.state, ['pending', 'claimed', 'running'])),
    )
    .returning();
  return rows[0] ?? null;
}
