import { and, eq } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { intents } from '../schema/intents.ts';
import type { IntentRow } from './insert-intent.ts';

/** An intent of this workload that waits for a person, or null. */
export async function findStuckIntent(
  db: Queryable,
  workloadId: string,
): Promise<Pick<IntentRow, 'id' | 'kind'> | null> {
  const rows = await db
    .select({ id: intents.id, kind: intents.kind })
    .from(intents)
    .where(and(eq(intents.workloadId, workloadId), eq(intents.state, 'stuck')))
    .limit(1);
  return rows[0] ?? null;
}
