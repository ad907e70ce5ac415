import { and, asc, eq, gt } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { intentEvents } from '../schema/intent-events.ts';

/** Events after `afterSeq`, in order, at most `limit`. */
export async function listIntentEvents(
  db: Queryable,
  intentId: string,
  afterSeq: number,
  limit: number,
): Promise<(typeof intentEvents.$inferSelect)[]> {
  return db
    .select()
    .from(intentEvents)
    .where(and(eq(intentEvents.intentId, intentId), gt(intentEvents.seq, afterSeq)))
    .orderBy(asc(intentEvents.seq))
    .limit(limit);
}
