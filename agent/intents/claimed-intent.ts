/** An intent as the claim returned it, with everything that its work needs from the database, read in the claim's transaction. */
import type { IntentKind } from '../../db/intent-state.ts';
import type { SnapshotKind } from '../../db/results.ts';
import type { IntentParams } from '../../db/schema/intents.ts';
import type { WorkloadConfig } from '../../db/workload.ts';

export interface WorkloadRef {
  readonly id: string;
  readonly version: number;
  /** The current configuration, parsed again on the host: the agent does not trust the database. */
  readonly config: WorkloadConfig;
}

export interface SnapshotRef {
  readonly id: string;
  readonly workloadId: string;
  readonly kind: SnapshotKind;
  readonly manifestSha256: string;
  /** RFC 3339: until then it is the last copy of a previous state and is not deleted. */
  readonly protectedUntil?: string | null;
}

export interface ClaimedIntent {
  readonly id: string;
  readonly kind: IntentKind;
  readonly leaseEpoch: number;
  readonly workload: WorkloadRef;
  /** plan, restore, verify, delete; null also when the snapshot is deleted. */
  readonly snapshot: SnapshotRef | null;
  /** undo: the intent that it takes back, and the pre-restore snapshot that this one made. */
  readonly undoOf: { readonly intentId: string; readonly preRestoreSnapshot: SnapshotRef | null } | null;
  readonly params: IntentParams;
  /** Who asked for it; an import keeps it in its manifest. */
  readonly requestedBy?: string;
}
