import { sql } from 'drizzle-orm';
import type { Queryable } from '../client.ts';
import type { IntentKind } from '../intent-state.ts';
import type { IntentParams, intents } from '../schema/intents.ts';

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

/** Word for word the predicate of intents_one_under_way, by which Postgres recognises the index. */
const UNDER_WAY = sql.raw(
  "state in ('pending', 'claimed', 'running') and kind in ('deploy', 'capture', 'restore', 'undo', 'delete')",
);
/** What an intent begins with: the defaults of the table. */
const NEW = {
  state: 'pending',
  leaseEpoch: 0,
  attempts: 0,
  cancelRequestedAt: null,
  committedAt: null,
  claimedAt: null,
  finishedAt: null,
  leaseUntil: null,
  leaseAlarmEpoch: null,
  step: null,
  progress: null,
  result: null,
  error: null,
} as const satisfies Partial<IntentRow>;

/**
 * Asks a host to do something; null if another intent that excludes this one is under way on the workload.
 * The partial unique index decides, also between handlers in different processes: a rival that has not committed yet is waited for.
 */
export async function insertIntent(db: Queryable, intent: NewIntent): Promise<IntentRow | null> {
  const { id, kind, workloadId, hostId, requestedBy } = intent;
  const [snapshotId, undoOf, notAfter] = [intent.snapshotId ?? null, intent.undoOf ?? null, intent.notAfter ?? null];
  const params = intent.params ?? {};
  const rows = await db.execute<{ createdAt: string }>(sql`
    insert into intents (id, kind, workload_id, host_id, snapshot_id, undo_of, params, requested_by, not_after)
    values (${id}, ${kind}, ${workloadId}, ${hostId}, ${snapshotId}, ${undoOf}, ${JSON.stringify(params)}::text::jsonb,
      ${requestedBy}, ${notAfter?.toISOString() ?? null})
    on conflict (workload_id) where ${UNDER_WAY} do nothing
    returning created_at as "createdAt"`);
  const [row] = rows;
  return row === undefined
    ? null
    : {
        ...NEW,
        ...{ id, kind, workloadId, hostId, requestedBy, snapshotId, undoOf, params, notAfter },
        createdAt: new Date(row.createdAt),
      };
}
