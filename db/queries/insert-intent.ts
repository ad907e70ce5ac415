import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import type { IntentKind } from '../intent-state.ts';
import { type IntentParams, intents } from '../schema/intents.ts';

export interface NewIntent {
  readonly id: string;
  readonly kind: IntentKind;
  readonly workloadId: string;
  readonly hostId: string;
  readonly snapshotId?: string;
  readonly undoOf?: string;
  readonly params?: IntentParams;
  readonly requestedBy: string;
  readonly notAfter?: Date;
}
export type IntentRow = typeof intents.$inferSelect;

/**
 * Asks a host to do something; null if another intent that excludes this one is under way on the workload.
 * The partial unique index decides, also between handlers in different processes: a rival that has not committed yet is waited for.
 */
export async function insertIntent(db: Queryable, intent: NewIntent): Promise<IntentRow | null> {
  const rows = await db
    .insert(intents)
    .values(intent)
    .onConflictDoNothing({
      target: intents.workloadId,
      // Word for word the predicate of intents_one_under_way, by which Postgres recognises the index.
      where: sql`state in ('pending', 'claimed', 'running') and kind in ('deploy', 'capture', 'restore', 'undo', 'delete')`,
    })
    .returning();
  return rows[0] ?? null;
}
