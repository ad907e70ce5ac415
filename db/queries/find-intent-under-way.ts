import { and, eq, inArray } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import { EXCLUSIVE_KINDS } from '../intent-state.ts';
import { intents } from '../schema/intents.ts';
import type { IntentRow } from './insert-intent.ts';

/** The intent that excludes others on this workload now, or null. */
export async function findIntentUnderWay(db: Queryable, workloadId: string): Promise<IntentRow | null> {
  const rows = await db
    .select()
    .from(intents)
    .where(
      and(
        eq(intents.workloadId, workloadId),
        inArray(intents.state, ['pending', 'claimed', 'running']),
        inArray(intents.kind, [...EXCLUSIVE_KINDS]),
      ),
    )
    .limit(1);
  return rows[0] ?? null;
}
