import { and, desc, eq, inArray } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { intents } from '../schema/intents.ts';
import type { IntentRow } from './insert-intent.ts';

/** The restore or undo that last changed what is live, or null. Only this one can be taken back. */
export async function findNewestSwap(db: Queryable, workloadId: string): Promise<IntentRow | null> {
  const rows = await db
    .select()
    .from(intents)
    .where(
      and(
        eq(intents.workloadId, workloadId),
        eq(intents.state, 'succeeded'),
        inArray(intents.kind, ['restore', 'undo']),
      ),
    )
    .orderBy(desc(intents.finishedAt), desc(intents.id))
    .limit(1);
  return rows[0] ?? null;
}
