import type { Queryable } from '../client.ts';
import { run } from '../driver.ts';
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

/** The predicate is word for word that of intents_one_under_way, by which Postgres recognises the index. */
const INSERT = `
  insert into intents (id, kind, workload_id, host_id, snapshot_id, undo_of, params, requested_by, not_after)
  values ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9)
  on conflict (workload_id)
    where state in ('pending', 'claimed', 'running') and kind in ('deploy', 'capture', 'restore', 'undo', 'delete') do nothing
  returning created_at as "createdAt"`;
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
  const [row] = await run<{ createdAt: string }>(db, INSERT, [
    ...[id, kind, workloadId, hostId, snapshotId, undoOf],
    ...[JSON.stringify(params), requestedBy, notAfter?.toISOString() ?? null],
  ]);
  return row === undefined
    ? null
    : {
        ...NEW,
        ...{ id, kind, workloadId, hostId, requestedBy, snapshotId, undoOf, params, notAfter },
        createdAt: new Date(row.createdAt),
      };
}
