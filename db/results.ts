/** What an agent reports: steps, results and events. Shared by both sides, stored as JSON; sizes in bytes, durations in ms. */
import type { ErrorJson } from './errors.ts';
import type { IntentState } from './intent-state.ts';

export interface Progress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly entriesDone: number;
}

/** Something that was not captured or not put back, by name (control bytes escaped). */
export interface Skipped {
  readonly volume?: string;
  readonly path: string;
  /** Stable reason, for example `socket`, `fifo`, `device`, `xattr-refused`, `vanished`, `changed`. */
  readonly reason: string;
  readonly detail?: string;
  /** In a row that stands for more than can be named: how many. One unless given. */
  readonly count?: number;
}

/** How many there are, those that are not named included. */
export function countSkipped(skipped: readonly Skipped[]): number {
  return skipped.reduce((sum, { count = 1 }) => sum + count, 0);
}

export interface StepTiming {
  readonly name: string;
  readonly ms: number;
}

/** Counts of a tree; see agent/archive/types.ts. Sizes in bytes. */
interface Counted {
  readonly entries: number;
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly hardLinks: number;
  readonly sparseFiles: number;
  readonly xattrs: number;
  readonly contentBytes: number;
}

/** A restored volume, walked on the disk, against the snapshot's manifest. */
export interface Fidelity {
  readonly volume: string;
  readonly expected: Counted;
  readonly found: Counted;
  /** All owners, modes, times, targets of symbolic links; null when the archive does not say them of each directory. */
  readonly same: {
    readonly owners: boolean;
    readonly modes: boolean;
    readonly times: boolean;
    readonly linkTargets: boolean;
  } | null;
}

/** A previous tree that is kept for the undo window. */
export interface HeldTree {
  readonly volume: string;
  readonly live: string;
  readonly previous: string;
}

/** The `result` of an intent; members are there as far as the kind has them. */
export interface IntentResult {
  readonly downtimeMs?: number;
  readonly steps?: readonly StepTiming[];
  readonly preRestoreSnapshotId?: string;
  /** Where the pre-restore snapshot is on the host. */
  readonly preRestoreSnapshotPath?: string;
  readonly undoUntil?: string;
  readonly imageId?: string;
  readonly image?: string;
  readonly skipped?: readonly Skipped[];
  readonly snapshotId?: string;
  readonly snapshotPath?: string;
  readonly bytes?: number;
  readonly entries?: number;
  readonly containers?: readonly string[];
  readonly warnings?: readonly string[];
  readonly plan?: RestorePlan;
  readonly fidelity?: readonly Fidelity[];
  readonly held?: readonly HeldTree[];
  readonly [more: string]: unknown;
}

/** Entries of one kind: how many, and the first of them by name (control bytes escaped). */
export interface TreeChanges {
  readonly count: number;
  readonly names: readonly string[];
}

/** What a restore would change in one volume. */
export interface TreeDifference {
  /** False when there was no time to compare all of it: the counts are lower bounds then. */
  readonly complete: boolean;
  readonly unchanged: number;
  /** In the snapshot and not in the volume, in both but different, in the volume and not in the snapshot. */
  readonly added: TreeChanges;
  readonly changed: TreeChanges;
  readonly removed: TreeChanges;
}

export interface PlannedImage {
  readonly reference: string;
  /** What the containers come up on. */
  readonly id: string;
  /** What the reference stands for on the host now; null if for nothing. */
  readonly referenceId: string | null;
  /** What ran when the snapshot was made. */
  readonly captured: { readonly reference: string; readonly id: string } | null;
  /** Another image runs now than when the snapshot was made. */
  readonly movedSinceCapture: boolean;
}

/** How long the workload would be down. */
export interface PlannedDowntime {
  /** That of the newest restore or undo of this workload on its host; null if there was none. 0 when nothing runs. */
  readonly estimateMs: number | null;
  readonly measuredAt: string | null;
  /** How long the containers may take to stop until they are killed; the start comes on top. */
  readonly stopTimeoutMs: number;
}

/** The answer of preflight and check_disk; what a plan intent returns. */
export interface RestorePlan {
  readonly ok: boolean;
  readonly refusals: readonly ErrorJson[];
  readonly warnings: readonly string[];
  readonly targets: readonly {
    volume: string;
    scope: string;
    live: string;
    exists: boolean;
    /** The outermost volume whose directory it lies in; null for one that stands by itself. */
    within: string | null;
    bytes: number;
    entries: number;
    /** Null when it was not compared: the plan says no, or the archive cannot be read. */
    difference: TreeDifference | null;
  }[];
  readonly fileSystems: readonly {
    mountPoint: string;
    type: string;
    bytesNeeded: number;
    bytesFree: number;
    inodesNeeded: number;
    inodesFree: number;
  }[];
  readonly containers: readonly { id: string; name: string; state: string; restartPolicy: string }[];
  readonly image: PlannedImage | null;
  readonly downtime: PlannedDowntime;
}

/** One line of the live progress; `seq` counts from 1 within an intent and is the server-sent event's id. */
export interface IntentEvent {
  readonly seq: number;
  /** RFC 3339, UTC. */
  readonly at: string;
  readonly type: 'step' | 'warning' | 'state' | 'snapshot';
  readonly data: Readonly<Record<string, unknown>>;
}

export interface StepEventData {
  readonly step: string;
  readonly status: 'started' | 'done' | 'failed' | 'undone';
  readonly ms?: number;
  readonly error?: ErrorJson;
}

/** The last thing that an agent says of an intent. */
export interface Outcome {
  readonly state: Extract<IntentState, 'succeeded' | 'failed' | 'rolled_back' | 'cancelled' | 'stuck'>;
  readonly result: IntentResult | null;
  readonly error: (ErrorJson & { readonly step?: string }) | null;
}

export type SnapshotKind = 'capture' | 'pre-restore' | 'imported';

/** Where an imported snapshot came from, in its manifest and in the database. */
export interface SnapshotOrigin {
  readonly policy: 'strict' | 'faithful';
  /** Who decided: the subject that asked for the intent, or the person at the host's own command line. */
  readonly importedBy: string;
  readonly importedAt: string;
  readonly archives: readonly {
    readonly file: string;
    readonly fileSha256: string;
    readonly bytes: number;
    /** `inside`: the directory in the archive that became the volume's root. */
    readonly volumes: readonly { readonly name: string; readonly inside: string }[];
  }[];
}

/** What the agent registers in the database of a snapshot that it published. */
export interface SnapshotRecord {
  readonly id: string;
  readonly workloadId: string;
  readonly intentId: string;
  readonly kind: SnapshotKind;
  readonly manifestSha256: string;
  readonly image: string;
  readonly imageId: string;
  readonly capturedAt: string;
  /** Undo window of the intent that made it; until then it cannot be deleted. */
  readonly protectedUntil: string | null;
  /** Of an imported snapshot. */
  readonly origin?: SnapshotOrigin;
  readonly volumes: readonly {
    name: string;
    scope: string;
    archiveSha256: string;
    archiveBytes: number;
    contentBytes: number;
    entries: number;
    skipped: number;
  }[];
}
